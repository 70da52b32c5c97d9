/** Explanations hold: whatever the data path may decide on some draw is among the paths told, with the same verdict. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { evaluate } from "../../../src/shared/authz/evaluate.ts";
import { reasonText } from "../../../src/shared/authz/trail.ts";
import type { Policy } from "../../../src/shared/model/policy.ts";
import { MeshStore } from "../../../src/shared/model/store.ts";
import { identityOf } from "../../../src/shared/model/store-workloads.ts";
import type { ServiceKey, Workload } from "../../../src/shared/model/workload.ts";
import { formatSocketAddress } from "../../../src/shared/net/authority.ts";
import { ipOf } from "../../../src/shared/net/ip.ts";
import { decideOutbound, illegalPorts } from "../../../src/ztunnel/proxy/route.ts";
import { decideInbound } from "../../../src/ztunnel/proxy/route-inbound.ts";
import { explainConnection } from "../../../src/ztunnel/why.ts";
import {
  makeGateway,
  makePolicy,
  makeRule,
  makeService,
  makeWorkload,
} from "../../support/mesh-builders.ts";

const COUNT = 5;
const names = Array.from({ length: COUNT }, (_, index) => `p${index}`);
const namespaces = ["a", "b"] as const;
const key = (namespace: string): ServiceKey => `${namespace}/s.${namespace}.svc.cluster.local`;

const namespace = fc.constantFrom(...namespaces);
const port = fc.constantFrom(80, 81, 8080, 15008);

const match = fc.record(
  {
    namespaces: namespace.map((value) => [{ kind: "exact" as const, value }]),
    notPrincipals: fc.constant([{ kind: "presence" as const }]),
    destinationPorts: fc.array(port, { minLength: 1, maxLength: 2 }),
    serviceAccounts: fc
      .tuple(namespace, fc.constantFrom(...names))
      .map(([ns, serviceAccount]) => [{ namespace: ns, serviceAccount }]),
  },
  { requiredKeys: [] },
);

const policies: fc.Arbitrary<Policy[]> = fc.array(
  fc
    .tuple(
      namespace,
      fc.constantFrom("Allow" as const, "Deny" as const),
      fc.boolean(),
      fc.array(match, { maxLength: 2 }),
    )
    .map(([ns, action, dryRun, matches]) =>
      makePolicy("", { namespace: ns, action, dryRun, rules: matches.map((one) => makeRule(one)) }),
    ),
  { maxLength: 4 },
);

const pod = fc.record({
  namespace,
  protocol: fc.constantFrom("HBONE" as const, "HBONE" as const, "TCP" as const),
  status: fc.constantFrom("Healthy" as const, "Healthy" as const, "Unhealthy" as const),
  behind: fc.array(namespace, { maxLength: 2 }),
  capacity: fc.constantFrom(0, 1, 1, 3),
  trustDomain: fc.constantFrom("cluster.local", "cluster.local", "cluster.local", "elsewhere"),
});

const mesh = fc
  .record({
    pods: fc.array(pod, { minLength: COUNT, maxLength: COUNT }),
    policies,
    waypoint: fc.option(fc.integer({ min: 0, max: COUNT - 1 }), { nil: undefined }),
    ports: fc.constantFrom({ 80: 8080 }, { 80: 8080, 81: 0 }, {}),
  })
  .map(({ pods, policies: rules, waypoint, ports }) => {
    const store = new MeshStore();
    const workloads = pods.map(({ behind, ...spec }, index) =>
      makeWorkload(`p${index}`, {
        ...spec,
        ips: [`10.0.0.${index + 1}`],
        behind: Object.fromEntries(behind.map((ns) => [key(ns), { 80: 8080 }])),
      }),
    );
    const gateway =
      waypoint === undefined ? {} : { waypoint: makeGateway(`@/10.0.0.${waypoint + 1}`) };
    const services = namespaces.map((ns, index) =>
      makeService("s", {
        namespace: ns,
        at: [`/10.96.0.${index + 1}`],
        ports,
        ...(index === 0 ? gateway : {}),
      }),
    );
    store.apply({
      addresses: [
        ...workloads.map((workload) => ({ kind: "workload", workload }) as const),
        ...services.map((service) => ({ kind: "service", service }) as const),
      ],
      policies: rules.map((policy, index) => ({ ...policy, name: `r${index}` })),
    });
    return { store, workloads };
  });

const destination = fc.record({
  ip: fc.constantFrom(
    ...names.map((_, index) => ipOf(`10.0.0.${index + 1}`)),
    ...namespaces.map((_, index) => ipOf(`10.96.0.${index + 1}`)),
    ipOf("192.0.2.1"),
  ),
  port,
});

const context = { illegalPorts: illegalPorts({ socks5: false }), localhostAppTunnel: true };

/** What the data path does on one draw, for routes that lead straight to a pod: next hop, verdict, reason. */
function really(
  store: MeshStore,
  source: Workload,
  to: { ip: ReturnType<typeof ipOf>; port: number },
  draw: number,
): { nextHop: string; verdict: string; because?: string } | undefined {
  const [sourceIp = ipOf("0.0.0.0")] = source.addresses;
  const route = decideOutbound(
    store,
    { network: "", illegalPorts: context.illegalPorts, random: () => draw },
    { source, sourceIp, destination: to },
  );
  if (route.kind === "refuse")
    return { nextHop: "", verdict: "unreachable", because: route.message };
  if (route.kind === "tcp")
    return { nextHop: formatSocketAddress(route.actualDestination), verdict: "allowed" };
  if (route.kind !== "hbone" || route.via !== "direct") return undefined;
  const nextHop = formatSocketAddress(route.actualDestination);
  if (route.upstream.trustDomain !== source.trustDomain) return { nextHop, verdict: "unreachable" };
  const inbound = decideInbound(
    store,
    { network: "", ...context },
    {
      local: route.upstream,
      peer: { ip: sourceIp, port: 1 },
      peerIdentity: identityOf(source),
      connectionDestination: route.actualDestination,
      method: "CONNECT",
      authority: route.authority,
    },
  );
  if (inbound.kind === "refuse") return { nextHop, verdict: "unreachable" };
  const decision = evaluate(store.policiesFor(route.upstream), inbound.facts);
  const verdict = decision.verdict === "allow" ? "allowed" : "denied";
  return { nextHop, verdict, because: reasonText(decision) };
}

test("what may happen is told, as it happens", () => {
  fc.assert(
    fc.property(
      mesh,
      fc.integer({ min: 0, max: COUNT - 1 }),
      destination,
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      ({ store, workloads }, index, to, draw) => {
        const source = workloads[index];
        assert.ok(source);
        fc.pre(source.protocol === "HBONE" && !source.addresses.includes(to.ip));
        const record = explainConnection(
          {
            view: store,
            network: "",
            clusterDomain: "cluster.local",
            preferredNamespace: undefined,
            ipv6Enabled: true,
            ...context,
          },
          { from: `${source.namespace}/${source.name}`, to: formatSocketAddress(to) },
        );
        const happens = really(store, source, to, draw);
        if (happens === undefined) return;
        const told = record.paths.find((path) => (path.hops[0]?.nextHop ?? "") === happens.nextHop);
        assert.ok(told, `${happens.nextHop} is not among\n${record.text.join("\n")}`);
        assert.equal(told.verdict, happens.verdict, record.text.join("\n"));
        if (happens.because !== undefined) assert.ok(told.because.startsWith(happens.because));
      },
    ),
    { numRuns: 400 },
  );
});

test("a record is plain data, and its verdict is that of its paths", () => {
  const source = fc.constantFrom(...names, "192.0.2.9", "10.0.0.3");
  fc.assert(
    fc.property(mesh, source, destination, ({ store }, from, to) => {
      const record = explainConnection(
        {
          view: store,
          network: undefined,
          clusterDomain: "cluster.local",
          preferredNamespace: undefined,
          ipv6Enabled: true,
          ...context,
        },
        { from, to: formatSocketAddress(to) },
      );
      assert.deepEqual(JSON.parse(JSON.stringify(record)), structuredClone(record));
      const verdicts = new Set(record.paths.map((path) => path.verdict));
      assert.ok(record.paths.length > 0);
      assert.equal(record.verdict, verdicts.size === 1 ? [...verdicts][0] : "mixed");
      assert.ok(record.text.every((line) => !line.includes("\n") && !line.includes("undefined")));
    }),
    { numRuns: 300 },
  );
});
