import assert from "node:assert/strict";
import { externalHost, serverNames } from "../../../../support/waypoint/cases/external.ts";
import {
  asks,
  type CaseTable,
  isClosed,
  look,
  ordinary,
} from "../../../../support/waypoint/cases/looks.ts";

const host = "api.example.com";
const to = `${host}:80`;
const denied = { status: 403, pod: null, body: "RBAC: access denied" };

export const egress: CaseTable = {
  golden: "l7-egress-service-entry",
  around: (mesh) => externalHost(mesh, host),
  looks: [
    ...ordinary("reviews", "ratings", "metrics", "db"),
    asks(
      "a request in the clear leaves the mesh in TLS",
      { to, host, path: "/v1?x=y" },
      { status: 200, pod: "outside", path: "/v1?x=y", host },
    ),
    look("the host is asked for by its name", async (mesh) => {
      await mesh.ask({ to, host });
      assert.ok(serverNames.length > 0);
      assert.deepEqual([...new Set(serverNames)], [host]);
    }),
    look("without a tunnel: there is no ztunnel on the other side", async (mesh) => {
      await mesh.ask({ to, host });
      assert.ok(mesh.stage.arrivals.every(({ authority }) => !authority.startsWith("192.0.2.")));
    }),
    asks("another method is denied", { to, host, method: "POST", body: "x" }, denied),
    asks("another identity is denied", { to, host, as: "shop/reviews" }, denied),
    isClosed("where there are no methods to see, nothing is allowed", { to: `${host}:443` }),
    isClosed("a port that the entry has not", { to: `${host}:8443` }),
  ],
};
