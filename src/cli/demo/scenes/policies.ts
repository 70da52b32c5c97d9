/** Who may talk to whom: policies that come, change, break and go while the mesh runs. */
import { systemClock } from "../../../shared/base/clock.ts";
import { describeError } from "../../../shared/base/errors.ts";
import type { KubernetesObject } from "../../world/objects.ts";
import { CLOSED_BY_CHANGE, policyVerdict } from "../access-log.ts";
import { DATABASE_PORT, HTTP_PORT, type Target } from "../apps/protocol.ts";
import type { Scene } from "../scene.ts";
import { SHOP_NAMESPACE, serviceIp } from "../shop.ts";
import { eventually, expect, type Stage } from "../stage.ts";
import { reportWire } from "./wire.ts";

/** How long a change of the files may take to reach the connections. */
const PUSH_DEADLINE_MS = 8_000;
const REQUEST_TIMEOUT_MS = 2_000;
const POLICY_FILE = "policies";

function principal(serviceAccount: string): string {
  return `cluster.local/ns/${SHOP_NAMESPACE}/sa/${serviceAccount}`;
}

function authorization(name: string, spec: Readonly<Record<string, unknown>>): KubernetesObject {
  return {
    apiVersion: "security.istio.io/v1",
    kind: "AuthorizationPolicy",
    metadata: { name, namespace: SHOP_NAMESPACE },
    spec,
  };
}

const strict: KubernetesObject = {
  apiVersion: "security.istio.io/v1",
  kind: "PeerAuthentication",
  metadata: { name: "default", namespace: SHOP_NAMESPACE },
  spec: { mtls: { mode: "STRICT" } },
};

const denyOrdersAtDatabase = authorization("deny-orders", {
  selector: { matchLabels: { app: "db" } },
  action: "DENY",
  rules: [{ from: [{ source: { principals: [principal("orders")] } }] }],
});

const onlyWebAtCatalog = authorization("only-web", {
  selector: { matchLabels: { app: "catalog" } },
  action: "ALLOW",
  rules: [{ from: [{ source: { principals: [principal("web")] } }] }],
});

const denyAll = authorization("deny-all", {});

/** "" when the request went through, otherwise why not. */
async function attempt(stage: Stage, from: string, target: Target): Promise<string> {
  try {
    await stage.app(from).call("get", { ...target, timeoutMs: REQUEST_TIMEOUT_MS });
    return "";
  } catch (thrown) {
    return describeError(thrown);
  }
}

async function untilAllowed(stage: Stage, from: string, target: Target): Promise<void> {
  let reason = "";
  await eventually(
    () => `${from} is still refused: ${reason}`,
    PUSH_DEADLINE_MS,
    async () => {
      reason = await attempt(stage, from, target);
      return reason === "" || undefined;
    },
  );
}

/** Resolves to the milliseconds it took. */
async function untilRefused(stage: Stage, from: string, target: Target): Promise<number> {
  const startedMs = systemClock.monotonicMs();
  await eventually(
    `${from} is still let in`,
    PUSH_DEADLINE_MS,
    async () => (await attempt(stage, from, target)) !== "" || undefined,
  );
  return Math.round(systemClock.monotonicMs() - startedMs);
}

async function expectAllowed(stage: Stage, from: string, target: Target): Promise<void> {
  const reason = await attempt(stage, from, target);
  expect(reason === "", `${from} was refused: ${reason}`);
}

/** The policy that the destination's ztunnel names for a new connection that it refused. */
async function verdictOf(stage: Stage, mark: number, from: string): Promise<string> {
  return eventually(`no refusal of ${from} was logged`, PUSH_DEADLINE_MS, () =>
    stage.access
      .since(mark)
      .filter((entry) => entry.direction === "inbound" && entry.sourceWorkload === from)
      .map(policyVerdict)
      .find((verdict) => verdict !== undefined && verdict !== CLOSED_BY_CHANGE),
  );
}

export const legacyWhilePermissive: Scene = {
  name: "legacy-while-permissive",
  title: "A pod outside the mesh still reaches in",
  play: async (stage) => {
    const mark = stage.link.mark();
    const target = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
    const { greeting } = await stage.app("legacy").call("get", target);
    const { ip } = stage.pod("legacy");
    expect(greeting.clientIp === ip, `catalog-v2 saw ${greeting.clientIp} instead of ${ip}`);
    const { readable } = reportWire(stage.link.since(mark));
    expect(readable.length > 0, "its request did not show on the link");
    return `catalog-v2 answered ${ip}, in plaintext`;
  },
};

export const meshToLegacy: Scene = {
  name: "mesh-to-legacy",
  title: "A pod of the mesh reaches a pod outside it",
  play: async (stage) => {
    const target = { host: serviceIp("legacy"), port: 80 };
    const { greeting } = await stage.app("db").call("get", target);
    const { ip } = stage.pod("db");
    expect(greeting.clientIp === ip, `legacy saw ${greeting.clientIp} instead of ${ip}`);
    return `legacy answered db and saw ${ip}`;
  },
};

export const strictShutsOut: Scene = {
  name: "strict-shuts-out",
  title: "STRICT shuts the outsider out, and only the outsider",
  play: async (stage) => {
    const target = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
    const mark = stage.access.mark();
    stage.folder.write("strict", [strict]);
    try {
      const tookMs = await untilRefused(stage, "legacy", target);
      await expectAllowed(stage, "web", target);
      // The first refusal may have met a connection that was just open; that one names no policy.
      expect((await attempt(stage, "legacy", target)) !== "", "legacy was let in");
      const verdict = await verdictOf(stage, mark, "legacy");
      stage.folder.remove("strict");
      await untilAllowed(stage, "legacy", target);
      return `legacy refused after ${tookMs} ms by ${verdict}; web went on; without STRICT legacy is back`;
    } finally {
      stage.folder.remove("strict");
    }
  },
};

export const denyClosesOpenConnection: Scene = {
  name: "deny-closes-open-connection",
  title: "A deny policy closes a connection that is open",
  play: async (stage) => {
    const orders = stage.app("orders");
    const target = { host: serviceIp("db"), port: DATABASE_PORT };
    await orders.call("open", { session: "watched", ...target });
    await orders.call("ask", { session: "watched", question: "one" });
    await stage.app("web").call("open", { session: "bystander", ...target });
    const startedMs = systemClock.monotonicMs();
    stage.folder.write(POLICY_FILE, [denyOrdersAtDatabase]);
    try {
      await eventually("the connection is still open", PUSH_DEADLINE_MS, () =>
        orders.sessionEnd("watched"),
      );
      const tookMs = Math.round(systemClock.monotonicMs() - startedMs);
      const refused = await attemptSession(stage, "orders", target);
      expect(refused !== "", "a new connection is let in");
      const bystander = await stage
        .app("web")
        .call("ask", { session: "bystander", question: "two" });
      expect(bystander.answer.endsWith("two"), "another client's connection was disturbed");
      return `closed ${tookMs} ms after the file was written; a new one is refused; web's connection goes on`;
    } finally {
      stage.folder.remove(POLICY_FILE);
      await stage.app("web").call("close", { session: "bystander" });
    }
  },
};

async function attemptSession(stage: Stage, from: string, target: Target): Promise<string> {
  try {
    await stage.app(from).call("open", { session: "attempt", ...target });
    await stage.app(from).call("close", { session: "attempt" });
    return "";
  } catch (thrown) {
    return describeError(thrown);
  }
}

export const allowByServiceAccount: Scene = {
  name: "allow-by-service-account",
  title: "An allow policy lets one service account in, and nobody else",
  play: async (stage) => {
    const target = { host: serviceIp("catalog"), port: 80 };
    const mark = stage.access.mark();
    stage.folder.write(POLICY_FILE, [onlyWebAtCatalog]);
    try {
      await untilRefused(stage, "orders", { host: stage.pod("catalog-v1").ip, port: HTTP_PORT });
      await untilRefused(stage, "orders", { host: stage.pod("catalog-v2").ip, port: HTTP_PORT });
      for (let round = 0; round < 6; round++) {
        await expectAllowed(stage, "web", target);
        expect((await attempt(stage, "orders", target)) !== "", "orders was let in");
      }
      return `web is let in; orders is refused: ${await verdictOf(stage, mark, "orders")}`;
    } finally {
      stage.folder.remove(POLICY_FILE);
    }
  },
};

export const denyAllAndRecovery: Scene = {
  name: "deny-all-and-recovery",
  title: "Deny-all stops everything; without it everything is back",
  play: async (stage) => {
    const target = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
    await untilAllowed(stage, "orders", target);
    stage.folder.write(POLICY_FILE, [denyAll]);
    try {
      const outMs = await untilRefused(stage, "web", target);
      expect((await attempt(stage, "orders", target)) !== "", "orders was let in");
      expect((await attempt(stage, "legacy", target)) !== "", "legacy was let in");
      stage.folder.remove(POLICY_FILE);
      const startedMs = systemClock.monotonicMs();
      for (const from of ["web", "orders", "legacy"]) await untilAllowed(stage, from, target);
      const backMs = Math.round(systemClock.monotonicMs() - startedMs);
      return `refused after ${outMs} ms, back after ${backMs} ms`;
    } finally {
      stage.folder.remove(POLICY_FILE);
    }
  },
};

const BROKEN_POLICY = `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-web, namespace: ${SHOP_NAMESPACE}}
spec:
  selector: {matchLabels: {app: catalog}}
  action: ALLOWED
  rules: [{from: [{source: {principalz: ["*"]}}]}]
`;

export const brokenPolicyRefused: Scene = {
  name: "broken-policy-refused",
  title: "A broken policy file is refused, and the last good state stays",
  play: async (stage) => {
    const target = { host: stage.pod("catalog-v2").ip, port: HTTP_PORT };
    stage.folder.write(POLICY_FILE, [onlyWebAtCatalog]);
    try {
      await untilRefused(stage, "orders", target);
      const complaint = stage.mesh.controlPlane.nextLine(
        (line) => line.includes(`${POLICY_FILE}.yaml`),
        PUSH_DEADLINE_MS,
        "something about the broken file",
      );
      stage.folder.writeText(POLICY_FILE, BROKEN_POLICY);
      const said = await complaint;
      await systemClock.sleep(1_000);
      expect((await attempt(stage, "orders", target)) !== "", "orders was let in");
      await expectAllowed(stage, "web", target);
      return `orders stays out, web stays in; the control plane said: ${said.slice(0, 200)}`;
    } finally {
      stage.folder.remove(POLICY_FILE);
      await untilAllowed(stage, "orders", target).catch(() => undefined);
    }
  },
};
