/** Routes of the Gateway API. */
import assert from "node:assert/strict";
import {
  asks,
  between,
  type CaseTable,
  look,
  notes,
  ordinary,
  reviews,
  shares,
} from "../../../../support/waypoint/cases/looks.ts";

const to = "reviews:80";
const beta = { "x-user": "beta" };

export const httpRoute: CaseTable = {
  golden: "l7-httproute-split-and-filters",
  looks: [
    notes(
      "that an application took too long, and by which route",
      { to: "reviews:80", path: "/v2?a=b", headers: { "x-user": "beta", "x-do": "delay=4000" } },
      { status: 504, flags: "UT", details: "response_timeout", route: "shop.reviews.0" },
    ),
    ...ordinary("reviews", "ratings", "metrics", "db"),
    asks(
      "headers are set, added and removed where everything matches",
      {
        to,
        path: "/v2/x?a=b",
        headers: { ...beta, "x-h": "mine", "x-i": "mine", "x-j": "gone" },
      },
      {
        status: 200,
        pod: [...reviews, "ratings-v1"],
        path: "/v2/x?a=b",
        seen: { "x-h": "v", "x-i": /^mine, ?w$/, "x-j": null },
      },
    ),
    ...(
      [
        ["another method", { path: "/v2?a=b", headers: beta, method: "POST" }],
        ["without the header", { path: "/v2?a=b" }],
        ["another parameter", { path: "/v2?a=c", headers: beta }],
        ["a prefix ends with a part of the path", { path: "/v22?a=b", headers: beta }],
      ] as const
    ).map(([name, ask]) =>
      asks(
        `${name}: the next route`,
        { to, ...ask },
        { status: 200, pod: reviews, seen: { "x-h": null } },
      ),
    ),
    look("nine of ten go to reviews, one to ratings", async (mesh) => {
      const counts = await shares(mesh, { to, path: "/v2?a=b", headers: beta }, 200);
      between(counts["ratings-v1"], 2, 42);
      assert.equal(counts["nobody"], undefined);
    }),
    look("ratings gets a copy of each, and nobody hears its answer", async (mesh) => {
      const mark = `/v2/${Math.random()}`;
      const got = await mesh.ask({
        to,
        path: `${mark}?a=b`,
        headers: { ...beta, "x-do": "status=500", "x-do-at": "ratings-v1" },
      });
      const chosen = got.echo?.pod;
      assert.ok(chosen !== undefined);
      for (let waitedMs = 0; waitedMs < 2000; waitedMs += 20) {
        const copies = mesh.seen.filter(({ path }) => path.startsWith(mark));
        if (copies.length >= 2) {
          const copy = copies.find(({ pod }) => pod === "ratings-v1");
          assert.equal(copy?.host, "reviews.shop");
          assert.equal(copy?.headers["x-h"], "v");
          return;
        }
        await new Promise((done) => setTimeout(done, 20));
      }
      assert.fail("no copy");
    }),
    asks(
      "an application that takes too long",
      { to, path: "/v2?a=b", headers: { ...beta, "x-do": "delay=4000" } },
      { status: 504, pod: null, body: "upstream request timeout", tookMs: [1950, 3500] },
    ),
    asks(
      "a redirect",
      { to, path: "/moved" },
      { status: 301, pod: null, headers: { location: "https://example.com/x" } },
    ),
    asks("an exact path is no prefix", { to, path: "/moved/x" }, { status: 200, pod: reviews }),
    asks(
      "path and host are rewritten, the answer gets a header",
      { to, path: "/rw/a/b?c=d" },
      {
        status: 200,
        pod: reviews,
        path: "/a/b?c=d",
        host: "h.example",
        headers: { "x-r": "s" },
        seen: { "x-envoy-original-path": "/rw/a/b?c=d" },
      },
    ),
    asks(
      "a path that is nothing but the prefix",
      { to, path: "/rw" },
      { status: 200, path: "/", host: "h.example" },
    ),
    asks(
      "no route's header where another one holds",
      { to, path: "/rwx" },
      { status: 200, path: "/rwx", headers: { "x-r": null } },
    ),
  ],
};

const call = {
  to: "ratings:9080",
  protocol: "HTTP/2",
  method: "POST",
  headers: { "content-type": "application/grpc", te: "trailers" },
  body: Buffer.from([0, 0, 0, 0, 1, 65]),
} as const;
const done = { status: 200, headers: { "x-pod": "ratings-v1" }, trailers: { "grpc-status": "0" } };
const unknown = { status: 200, headers: { "grpc-status": "12", "x-pod": null } };

export const grpcRoute: CaseTable = {
  golden: "l7-grpcroute",
  looks: [
    notes(
      "that no route was found",
      { to: "ratings:9080", path: "/none" },
      {
        status: 404,
        flags: "NR",
        details: "route_not_found",
        route: null,
      },
    ),
    ...ordinary("reviews", "metrics", "db"),
    asks("a service and a method", { ...call, path: "/shop.Ratings/Get" }, done),
    asks("another method, by the expression", { ...call, path: "/shop.Ratings/Put" }, done),
    asks("another service, by the expression", { ...call, path: "/shop.v2.Other/Get" }, done),
    asks("a service that only resembles it", { ...call, path: "/shops.Ratings/Get" }, unknown),
    asks("no method", { ...call, path: "/shop.Ratings/" }, unknown),
    asks("another package", { ...call, path: "/other.Ratings/Get" }, unknown),
    asks(
      "what is not gRPC and matches nothing is not found",
      { to: "ratings:9080", path: "/x" },
      { status: 404, pod: null, body: "" },
    ),
    asks(
      "what is not gRPC and matches is passed on",
      { to: "ratings:9080", path: "/shop.Ratings/Get" },
      { status: 200, pod: "ratings-v1", protocol: "HTTP/2" },
    ),
  ],
};
