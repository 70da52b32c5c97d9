import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { cidrText } from "../../../../src/shared/net/cidr.ts";
import {
  DeltaDiscoveryResponseSchema,
  type Resource,
  ResourceSchema,
} from "../../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import {
  AuthorizationSchema,
  type MatchSchema,
} from "../../../../src/shared/wire/gen/istio/security/authorization_pb.js";
import {
  AddressSchema,
  type ServiceSchema,
  type WorkloadSchema,
} from "../../../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { decodeAddress, decodeAuthorization } from "../../../../src/shared/xds/decode.ts";
import { DeltaState } from "../../../../src/shared/xds/delta-state.ts";
import { addressType, authorizationType } from "../../../../src/shared/xds/types.ts";

function resource(typeUrl: string, value: Uint8Array): Resource {
  return create(ResourceSchema, { name: "ns/name", resource: { typeUrl, value } });
}

function workload(init: MessageInitShape<typeof WorkloadSchema>): Resource {
  const message = create(AddressSchema, { type: { case: "workload", value: init } });
  return resource(addressType, toBinary(AddressSchema, message));
}

function service(init: MessageInitShape<typeof ServiceSchema>): Resource {
  const message = create(AddressSchema, { type: { case: "service", value: init } });
  return resource(addressType, toBinary(AddressSchema, message));
}

function authorization(init: MessageInitShape<typeof AuthorizationSchema>): Resource {
  return resource(
    authorizationType,
    toBinary(AuthorizationSchema, create(AuthorizationSchema, init)),
  );
}

/** An enum number that nobody has assigned. */
const odd: number = 9;

const v4 = Uint8Array.of(10, 0, 0, 1);

describe("what is refused, and with which path", () => {
  const cases: readonly [string, Resource, RegExp][] = [
    ["no payload", create(ResourceSchema, { name: "x" }), /^resource: has no payload/],
    [
      "bytes that are no message",
      resource(addressType, Uint8Array.of(0xff)),
      /^resource: cannot be decoded/,
    ],
    ["another type", resource("type.googleapis.com/x", Uint8Array.of()), /^resource: is of type/],
    [
      "neither workload nor service",
      resource(addressType, Uint8Array.of()),
      /^address: is neither/,
    ],
    [
      "an address of 3 bytes",
      workload({ addresses: [v4, Uint8Array.of(1, 2, 3)] }),
      /^workload\.addresses\[1\]: 3 bytes/,
    ],
    [
      "an empty address",
      workload({ addresses: [Uint8Array.of()] }),
      /^workload\.addresses\[0\]: 0 bytes/,
    ],
    [
      "tunnel protocol 9",
      workload({ tunnelProtocol: odd }),
      /^workload\.tunnel_protocol: unknown value 9/,
    ],
    [
      "legacy mTLS",
      workload({ tunnelProtocol: 2 }),
      /unsupported tunnel protocol: legacy istio mtls/,
    ],
    ["network mode 9", workload({ networkMode: odd }), /^workload\.network_mode/],
    ["status 9", workload({ status: odd }), /^workload\.status/],
    [
      "app tunnel protocol 9",
      workload({ applicationTunnel: { protocol: odd } }),
      /^workload\.application_tunnel\.protocol/,
    ],
    [
      "a services key without slash",
      workload({ services: { x: {} } }),
      /^workload\.services: key "x"/,
    ],
    [
      "a waypoint to nowhere",
      workload({ waypoint: { hboneMtlsPort: 1 } }),
      /^workload\.waypoint: has no destination/,
    ],
    [
      "a gateway address of 5 bytes",
      workload({
        networkGateway: { destination: { case: "address", value: { address: new Uint8Array(5) } } },
      }),
      /^workload\.network_gateway\.address: 5 bytes/,
    ],
    [
      "a service address of 5 bytes",
      service({ addresses: [{ address: new Uint8Array(5) }] }),
      /^service\.addresses\[0\]: 5 bytes/,
    ],
    [
      "a prefix of 33",
      service({ addresses: [{ address: v4, length: 33 }] }),
      /^service\.addresses\[0\]: impossible prefix length 33/,
    ],
    [
      "an IPv6 prefix of 129",
      service({ addresses: [{ address: new Uint8Array(16), length: 129 }] }),
      /impossible prefix length/,
    ],
    [
      "balancing mode 9",
      service({ loadBalancing: { mode: odd } }),
      /^service\.load_balancing\.mode/,
    ],
    [
      "scope UNSPECIFIED",
      service({ loadBalancing: { routingPreference: [1, 0] } }),
      /^service\.load_balancing\.routing_preference\[1\]: unknown value 0/,
    ],
    [
      "health policy 9",
      service({ loadBalancing: { healthPolicy: odd } }),
      /^service\.load_balancing\.health_policy/,
    ],
    ["ip families 9", service({ ipFamilies: odd }), /^service\.ip_families/],
    [
      "a weighted waypoint to nowhere",
      service({ weightedWaypoints: [{ weight: 1 }] }),
      /^service\.weighted_waypoints\[0\]: has no destination/,
    ],
  ];
  for (const [name, input, expected] of cases)
    test(name, () => assert.throws(() => decodeAddress(input), { message: expected }));
});

describe("what is taken leniently", () => {
  test("an unknown visibility is public, ports are cut to 16 bits, an unknown workload type is telemetry", () => {
    const decoded = decodeAddress(
      service({
        visibility: odd,
        ports: [{ servicePort: 65536 + 80, targetPort: 81, appProtocol: odd }],
      }),
    );
    assert.ok(decoded.kind === "service");
    assert.equal(decoded.service.visibility, "Public");
    assert.deepEqual(decoded.service.ports, [
      { servicePort: 80, targetPort: 81, appProtocol: "UNKNOWN" },
    ]);
    assert.doesNotThrow(() => decodeAddress(workload({ workloadType: odd })));
  });

  test("defaults are filled in", () => {
    const decoded = decodeAddress(workload({ uid: "u" }));
    assert.ok(decoded.kind === "workload");
    const { trustDomain, serviceAccount, clusterId, capacity, protocol } = decoded.workload;
    assert.deepEqual(
      { trustDomain, serviceAccount, clusterId, capacity, protocol },
      {
        trustDomain: "cluster.local",
        serviceAccount: "default",
        clusterId: "Kubernetes",
        capacity: 1,
        protocol: "TCP",
      },
    );
    const zero = decodeAddress(workload({ capacity: 0 }));
    assert.equal(zero.kind === "workload" && zero.workload.capacity, 0);
  });

  test("an address with full length is exact, a shorter one a prefix", () => {
    const mapped = Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 0, 0, 0]);
    const decoded = decodeAddress(
      service({
        addresses: [
          { address: v4 },
          { address: v4, length: 32 },
          { network: "n", address: v4, length: 8 },
          { address: mapped, length: 104 },
        ],
      }),
    );
    assert.ok(decoded.kind === "service");
    assert.deepEqual(
      decoded.service.vips.map((vip) => vip.ip),
      ["10.0.0.1", "10.0.0.1"],
    );
    assert.deepEqual(
      decoded.service.cidrVips.map((vip) => `${vip.network} ${cidrText(vip.cidr)}`),
      ["n 10.0.0.1/8", " 10.0.0.0/8"],
    );
  });
});

describe("a policy", () => {
  type MatchInit = MessageInitShape<typeof MatchSchema>;
  const withMatch = (action: number, match: MatchInit): Resource =>
    authorization({
      name: "p",
      namespace: "ns",
      action,
      scope: 1,
      rules: [{ clauses: [{ matches: [match] }] }],
    });
  const [ALLOW, DENY] = [0, 1];
  const at = "authorization.rules[0].clauses[0].matches[0]";
  const good = { address: v4, length: 32 };
  const badIp = { address: Uint8Array.of(1), length: 8 };
  const badLength = { address: v4, length: 40 };
  const exact = { matchType: { case: "exact" as const, value: "x" } };

  const refusedCases: readonly [string, Resource, string][] = [
    ["scope 9", authorization({ scope: odd }), "authorization.scope: unknown value 9"],
    ["action 9", authorization({ action: odd }), "authorization.action: unknown value 9"],
    [
      "ALLOW: a positive list of which nothing is left",
      withMatch(ALLOW, { sourceIps: [badIp] }),
      `${at}.source_ips: no item can be read`,
    ],
    [
      "ALLOW: an item of a not list",
      withMatch(ALLOW, { notSourceIps: [good, badLength] }),
      `${at}.not_source_ips[1]: cannot be read`,
    ],
    [
      "ALLOW: an unset string of a not list",
      withMatch(ALLOW, { notPrincipals: [exact, {}] }),
      `${at}.not_principals[1]: cannot be read`,
    ],
    [
      "DENY: an item of a positive list",
      withMatch(DENY, { sourceIps: [good, badIp] }),
      `${at}.source_ips[1]: cannot be read`,
    ],
    [
      "DENY: an unset string",
      withMatch(DENY, { principals: [exact, {}] }),
      `${at}.principals[1]: cannot be read`,
    ],
    [
      "DENY: nothing left of the match",
      withMatch(DENY, { notSourceIps: [badIp] }),
      `${at}: nothing is left of the match`,
    ],
    [
      "an extension in a match",
      withMatch(ALLOW, { extensions: [{ name: "odd" }] }),
      `${at}.extensions: unknown extension "odd"`,
    ],
  ];
  for (const [name, input, expected] of refusedCases) {
    test(`is refused: ${name}`, () => {
      const outcome = decodeAuthorization(input);
      assert.ok(outcome.kind === "refused");
      assert.ok(outcome.problem.startsWith(expected), outcome.problem);
    });
  }

  test("keeps what is at least as strict without an unreadable item", () => {
    const allow = decodeAuthorization(withMatch(ALLOW, { sourceIps: [badIp, good] }));
    assert.ok(allow.kind === "policy");
    assert.deepEqual(allow.warnings, [`${at}.source_ips[0]: cannot be read, dropped`]);
    assert.equal(allow.policy.rules[0]?.clauses[0]?.matches[0]?.sourceIps.length, 1);
    const deny = decodeAuthorization(withMatch(DENY, { notSourceIps: [badLength, good] }));
    assert.ok(deny.kind === "policy");
    assert.equal(deny.policy.rules[0]?.clauses[0]?.matches[0]?.notSourceIps.length, 1);
  });

  test("with a field in a match that we have never heard of is refused", () => {
    // Authorization{name, rules: [{clauses: [{matches: [{field 14: "x"}]}]}]} by hand.
    const match = [0x72, 1, 0x78];
    const clause = [0x12, match.length, ...match];
    const rule = [0x0a, clause.length, ...clause];
    const bytes = Uint8Array.from([0x0a, 1, 0x70, 0x2a, rule.length, ...rule]);
    const outcome = decodeAuthorization(resource(authorizationType, bytes));
    assert.ok(outcome.kind === "refused");
    assert.equal(outcome.problem, `${at}: unknown field number 14`);
  });

  test("that is refused is known by name and, if that can be read, by scope", () => {
    const outcome = decodeAuthorization(
      authorization({ name: "p", namespace: "ns", scope: 1, action: odd }),
    );
    assert.ok(outcome.kind === "refused");
    assert.equal(outcome.refused?.scope, "Namespace");
    const garbage = decodeAuthorization(resource(authorizationType, Uint8Array.of(0xff)));
    assert.ok(garbage.kind === "refused");
    assert.deepEqual(
      { ...garbage.refused, reason: "" },
      { namespace: "ns", name: "name", scope: undefined, reason: "" },
    );
    const dry = decodeAuthorization(authorization({ name: "p", action: odd, dryRun: true }));
    assert.equal(dry.kind === "refused" && dry.refused, undefined);
  });

  test("ports that cannot exist stay as they are and match nothing", () => {
    const outcome = decodeAuthorization(withMatch(ALLOW, { destinationPorts: [65536 + 80] }));
    assert.ok(outcome.kind === "policy");
    assert.deepEqual(outcome.policy.rules[0]?.clauses[0]?.matches[0]?.destinationPorts, [65616]);
  });
});

test("everything that the reference control plane sent in the golden cases is accepted", () => {
  const root = resolve(import.meta.dirname, "../../../golden");
  const files = readdirSync(root, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .flatMap((entry) =>
      ["Address", "Authorization"].map((type) => `${root}/${entry.name}/ztunnel/${type}.binpb`),
    )
    .filter((path) => existsSync(path));
  assert.ok(files.length >= 38, `only ${files.length} recordings found`);
  let resources = 0;
  for (const path of files) {
    const response = fromBinary(DeltaDiscoveryResponseSchema, readFileSync(path));
    const { problems, warnings } = new DeltaState({ onDemand: false }).receive(response);
    assert.deepEqual(problems, [], path);
    assert.deepEqual(warnings, [], path);
    resources += response.resources.length;
  }
  assert.ok(resources >= 100, `only ${resources} resources seen`);
});
