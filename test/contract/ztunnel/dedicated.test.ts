/** Dedicated mode: one proxy a pod, in the pod's own namespace, told whose it is; no node agent anywhere. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { after, before, describe, test } from "node:test";
import type { TestPod } from "../../support/pods.ts";
import { eventually } from "../envoy/endpoints.ts";
import { DedicatedStage, type DedicatedZtunnel, hostIp, node } from "./stage.ts";

const stage = new DedicatedStage();
let web: TestPod;
let api: TestPod;
before(async () => {
  await stage.open();
  web = await stage.pod(1);
  api = await stage.pod(2);
  await stage.echo(api, 8080);
  await stage.echo(api, 9090);
  await stage.echo(node, 7000);
});
after(() => stage.close());

const vip = "10.96.0.10";

const objects = `
apiVersion: v1
kind: Node
metadata: { name: node1 }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { istio.io/dataplane-mode: ambient } }
---
apiVersion: v1
kind: Service
metadata: { name: api, namespace: shop }
spec:
  clusterIP: ${vip}
  selector: { app: api }
  ports: [{ port: 80, targetPort: 8080 }]
${["web 10.1.0.11", "api 10.1.0.12"]
  .map((pod) => pod.split(" "))
  .map(
    ([name, ip]) => `---
apiVersion: v1
kind: Pod
metadata:
  name: ${name}-1
  namespace: shop
  labels: { app: ${name} }
  annotations: { ambient.istio.io/redirection: enabled }
spec: { nodeName: node1, serviceAccountName: ${name} }
status: { phase: Running, podIP: ${ip}, podIPs: [{ ip: ${ip} }], conditions: [{ type: Ready, status: "True" }] }
`,
  )
  .join("")}`;

const denyMetricsPort = `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: no-9090, namespace: shop }
spec:
  action: DENY
  rules: [{ to: [{ operation: { ports: ["9090"] } }] }]
`;

/** The same pods and service, as a node's own file says them. */
const staticState = {
  services: [
    {
      name: "api",
      namespace: "shop",
      hostname: "api.shop.svc.cluster.local",
      vips: [`/${vip}`],
      ports: { 80: 8080 },
    },
  ],
  workloads: ["web", "api"].map((name, index) => ({
    uid: `Kubernetes//Pod/shop/${name}-1`,
    name: `${name}-1`,
    namespace: "shop",
    serviceAccount: name,
    workloadName: name,
    canonicalName: name,
    workloadIps: [`10.1.0.${11 + index}`],
    protocol: "HBONE",
    node: "node1",
    ...(name === "api" && { services: { "shop/api.shop.svc.cluster.local": { 80: 8080 } } }),
  })),
  policies: [
    {
      name: "no-9090",
      namespace: "shop",
      scope: "Namespace",
      action: "Deny",
      rules: [[[{ destinationPorts: [9090] }]]],
    },
  ],
};

for (const mode of ["control plane", "file"] as const)
  describe(`state from a ${mode}`, () => {
    let atWeb: DedicatedZtunnel;
    let atApi: DedicatedZtunnel;

    before(async () => {
      if (mode === "control plane") {
        stage.writeObjects("shop.yaml", objects);
        stage.writeObjects("deny.yaml", denyMetricsPort);
      }
      const env = mode === "file" ? stage.staticState("state", staticState) : {};
      [atWeb, atApi] = await Promise.all([
        stage.ztunnel(web, "shop/web-1/web", env),
        stage.ztunnel(api, "shop/api-1/api", env),
      ]);
    });

    test("pod to pod: a tunnel, the client's address, both sides count", async () => {
      // What the control plane says of the other pod may come a moment after readiness.
      await eventually("the answer", async () => (await stage.ask(web, api.v4, 8080, "x")) !== "");
      assert.equal(await stage.ask(web, api.v4, 8080, "hello world"), `${web.v4}\nhello world`);
      await eventually(
        "both lines",
        () => atWeb.access("outbound").length > 1 && atApi.access("inbound").length > 1,
      );
      assert.match(
        atWeb.access("outbound").at(-1) ?? "",
        /^info\taccess\tconnection complete\tsrc\.addr=10\.1\.0\.11:\d+ src\.workload="web-1" src\.namespace="shop" src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web" src\.cluster="Kubernetes" dst\.addr=10\.1\.0\.12:15008 dst\.hbone_addr=10\.1\.0\.12:8080 (dst\.service="api\.shop\.svc\.cluster\.local" )?dst\.workload="api-1" dst\.namespace="shop" dst\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/api" dst\.cluster="Kubernetes" direction="outbound" bytes_sent=11 bytes_recv=21 duration="\d+ms"$/,
      );
      assert.match(
        atApi.access("inbound").at(-1) ?? "",
        /src\.identity="spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web" .*dst\.addr=10\.1\.0\.12:15008 dst\.hbone_addr=10\.1\.0\.12:8080 .*direction="inbound" bytes_sent=21 bytes_recv=11 /,
      );
      const secure = 'connection_security_policy="mutual_tls"';
      for (const [ztunnel, reporter] of [
        [atWeb, "source"],
        [atApi, "destination"],
      ] as const) {
        const labels = [
          secure,
          `reporter="${reporter}"`,
          'source_workload="web',
          'destination_workload="api',
        ];
        assert.ok(
          (await stage.metric(ztunnel, "istio_tcp_connections_opened_total", ...labels)) > 0,
        );
        assert.ok((await stage.metric(ztunnel, "istio_tcp_received_bytes_total", ...labels)) >= 11);
      }
    });

    test("pod to service", async () => {
      assert.equal(await stage.ask(web, vip, 80, "by name"), `${web.v4}\nby name`);
      await eventually("the line", () =>
        /dst\.hbone_addr=10\.1\.0\.12:8080 dst\.service="api\.shop\.svc\.cluster\.local"/.test(
          atWeb.access("outbound").at(-1) ?? "",
        ),
      );
    });

    test("from outside the mesh in the clear, and out of the mesh", async () => {
      assert.equal(await stage.ask(node, api.v4, 8080, "plain"), `${hostIp}\nplain`);
      await eventually(
        "the line",
        () => atApi.access("inbound").at(-1)?.includes("dst.addr=10.1.0.12:8080") === true,
      );
      assert.doesNotMatch(atApi.access("inbound").at(-1) ?? "", /src\.identity/);
      assert.equal(await stage.ask(web, hostIp, 7000, "outside"), `${web.v4}\noutside`);
    });

    test("a policy denies: 401 at the client's end, the rule at the server's", async () => {
      await eventually("the policy", async () => (await stage.ask(web, api.v4, 9090, "x")) === "");
      await eventually("the line", () =>
        /http status: 401/.test(atWeb.access("outbound").at(-1) ?? ""),
      );
      const reason =
        /error="connection closed due to policy rejection: explicitly denied by: shop\/no-9090" policy="shop\/no-9090 rule 0"$/;
      await eventually("the reason", () => reason.test(atApi.access("inbound").at(-1) ?? ""));
    });

    test("the dump has no pods of a node agent, and one certificate", async () => {
      const dump = JSON.parse(await stage.get(api, 15000, "/config_dump"));
      assert.equal(dump.workloadState, undefined);
      assert.deepEqual(
        dump.certificates.map(({ identity, state }: Record<string, string>) => [identity, state]),
        [["spiffe://cluster.local/ns/shop/sa/api", "Available"]],
      );
      assert.equal(dump.staticConfig.workloads.length, mode === "file" ? 2 : 0);
    });

    test("SIGTERM: what is open goes on, then the process ends by itself", async () => {
      const socket = await stage.dial(web, api.v4, 8080);
      socket.resume();
      const [greeting] = await once(socket, "data");
      assert.equal(String(greeting), `${web.v4}\n`);
      const ended = atApi.process.stop("SIGTERM");
      const refused = async (): Promise<boolean> =>
        (await stage.ask(web, api.v4, 8080, "x")) === "";
      await eventually("new connections are refused", refused);
      socket.write("still here");
      const [chunk] = await once(socket, "data");
      assert.equal(String(chunk), "still here");
      socket.end();
      assert.deepEqual(await ended, { code: 0, signal: null });
      assert.deepEqual(await atWeb.process.stop("SIGTERM"), { code: 0, signal: null });
    });
  });

/** The way of sidecars: no mark and no privilege, told apart by its user. */
const asUser = [
  "setpriv",
  "--reuid=1337",
  "--clear-groups",
  "--bounding-set=-all",
  "--inh-caps=-all",
];
const withoutUsers =
  spawnSync(asUser[0] ?? "", [...asUser.slice(1), "true"]).status === 0
    ? undefined
    : "no second user here";

describe("as a user of its own, without any privilege", { skip: withoutUsers }, () => {
  test("both directions work; the application sees the proxy's address", async () => {
    const pod = await stage.pod(3, "user");
    await stage.echo(pod, 8080);
    const third = {
      ...staticState.workloads[0],
      uid: "Kubernetes//Pod/shop/third-1",
      name: "third-1",
      serviceAccount: "third",
      workloadIps: [pod.v4],
    };
    const state = { ...staticState, workloads: [...staticState.workloads, third] };
    const env = { XDS_ADDRESS: "", LOCAL_XDS: JSON.stringify(state) };
    const [ztunnel] = await Promise.all([
      stage.ztunnel(pod, "shop/third-1/third", { ...env, PACKET_MARK: "" }, asUser),
      stage.ztunnel(api, "shop/api-1/api", env),
    ]);
    assert.equal(await stage.ask(pod, api.v4, 8080, "out"), `${pod.v4}\nout`);
    const [seen, said] = (await stage.ask(node, pod.v4, 8080, "in")).split("\n");
    assert.equal(said, "in");
    assert.notEqual(seen, hostIp);
    const line = /dst\.hbone_addr=10\.1\.0\.12:8080/;
    await eventually("the line", () => line.test(ztunnel.access("outbound")[0] ?? ""));
    await eventually("the other", () => ztunnel.access("inbound").length === 1);
  });
});
