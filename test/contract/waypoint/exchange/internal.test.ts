/** Who counts as internal, and what that allows: the same requests through Envoy's connection manager and ours. */
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { after, before, describe, it } from "node:test";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { HttpConnectionManagerSchema } from "../../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { compileHttpSettings } from "../../../../src/waypoint/compile/http-settings.ts";
import { Notes } from "../../../../src/waypoint/compile/notes.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import { type Envoy, withoutEnvoy } from "../../../support/envoy.ts";
import { downstream } from "../../../support/stream-record.ts";
import { chainOf, forwardTo, routeOf } from "../../../support/waypoint/chains.ts";
import { ExchangeUnderTest } from "../../../support/waypoint/exchanges.ts";
import { envoyWith } from "../routes/rig.ts";

const local = { address_prefix: "127.0.0.0", prefix_len: 8 };
const ten = { address_prefix: "10.0.0.0", prefix_len: 8 };
const six = { address_prefix: "fd00::", prefix_len: 8 };

const managers: Readonly<Record<string, JsonObject>> = {
  plain: {},
  none: { internal_address_config: {} },
  sockets: { internal_address_config: { unix_sockets: true } },
  ranges: { internal_address_config: { cidr_ranges: [local, ten, six] } },
  tens: { internal_address_config: { cidr_ranges: [ten] } },
  remote: { use_remote_address: true, internal_address_config: { cidr_ranges: [local] } },
  edge: { use_remote_address: true, internal_address_config: { cidr_ranges: [ten] } },
  kept: { use_remote_address: true, skip_xff_append: true },
  port: { append_x_forwarded_port: true },
};

const asked: readonly (readonly [string, string])[] = [
  ["x-envoy-internal", "true"],
  ["x-envoy-retry-on", "5xx"],
  ["x-envoy-max-retries", "2"],
  ["x-envoy-upstream-rq-timeout-ms", "7000"],
  ["x-envoy-upstream-rq-per-try-timeout-ms", "3000"],
  ["x-envoy-ip-tags", "a"],
  ["x-envoy-force-trace", "a"],
  ["x-envoy-original-url", "a"],
  ["x-envoy-decorator-operation", "a"],
  ["x-envoy-downstream-service-cluster", "a"],
  ["x-envoy-downstream-service-node", "a"],
  ["x-envoy-upstream-alt-stat-name", "a"],
  ["x-envoy-upstream-rq-timeout-alt-response", "a"],
  ["x-envoy-expected-rq-timeout-ms", "1"],
  ["x-envoy-external-address", "9.9.9.9"],
  ["x-envoy-something", "a"],
  ["x-forwarded-proto", "https"],
  ["x-forwarded-client-cert", "By=a"],
];

const forwardedFor: readonly (readonly string[])[] = [
  [],
  ["10.1.1.1"],
  ["8.8.8.8"],
  ["fd00::1"],
  ["10.1.1.1, 10.2.2.2"],
  ["8.8.8.8,10.1.1.1"],
  ["10.1.1.1", "10.2.2.2"],
  ["10.1.1.1,"],
  [",10.1.1.1"],
  ["10.1.1.1:80"],
  ["[fd00::1]:80"],
  ["garbage"],
  [""],
];

interface Seen {
  readonly attempts: number;
  readonly status: number;
  readonly headers: readonly string[];
}

/** Of a client on loopback Envoy tells the address that it takes for its machine's. */
function byLoopback(line: string, name: string): string {
  const tells = managers[name]?.["use_remote_address"] && !managers[name]?.["skip_xff_append"];
  return tells && line.startsWith("x-forwarded-for: ")
    ? line.replace(/[^ ,]+$/, "127.0.0.1")
    : line;
}

const isShown = (name: string): boolean =>
  /^x-(envoy|forwarded)-/.test(name) && name !== "x-envoy-attempt-count";

describe("internal requests", { skip: withoutEnvoy }, () => {
  let envoy: Envoy;
  const seen: string[][] = [];
  const backend = createServer((request, response) => {
    const flat = request.rawHeaders;
    const headers: string[] = [];
    for (let at = 0; at < flat.length; at += 2)
      if (isShown(flat[at] ?? "")) headers.push(`${flat[at]}: ${flat[at + 1]}`);
    seen.push(headers.sort());
    response.statusCode = 503;
    response.end();
  });

  before(async () => {
    await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
    const route_config = {
      virtual_hosts: [
        {
          name: "v",
          domains: ["*"],
          routes: [{ match: { prefix: "/" }, route: { cluster: "a" } }],
        },
      ],
    };
    const { port } = backend.address() as AddressInfo;
    envoy = await envoyWith(
      Object.fromEntries(Object.keys(managers).map((name) => [name, route_config])),
      port,
      managers,
    );
  });

  after(async () => {
    await envoy?.stop();
    backend.closeAllConnections();
    backend.close();
  });

  async function byEnvoy(
    name: string,
    headers: readonly (readonly [string, string])[],
  ): Promise<Seen> {
    seen.length = 0;
    const text = headers.map(([key, value]) => `${key}: ${value}\r\n`).join("");
    const socket = connect(envoy.port(name), "127.0.0.1");
    socket.write(`GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n${text}\r\n`);
    let answer = "";
    for await (const chunk of socket) answer += chunk;
    return {
      attempts: seen.length,
      status: Number(answer.slice(9, 12)),
      headers: (seen[0] ?? []).map((line) => byLoopback(line, name)).sort(),
    };
  }

  async function byUs(
    name: string,
    headers: readonly (readonly [string, string])[],
  ): Promise<Seen> {
    const manager = fromJson(HttpConnectionManagerSchema, managers[name] ?? {});
    const http = compileHttpSettings(manager, false, "", new Notes());
    const chain = chainOf([
      routeOf({ kind: "forward", forward: forwardTo("web", { timeoutMs: 15_000 }) }),
    ]);
    const under = new ExchangeUnderTest({ ...chain, http }, { fields: new Fields(headers.flat()) });
    Object.assign(under, {
      connection: downstream({
        source: { ip: "127.0.0.1", port: 4321 },
        destination: { ip: "127.0.0.1", port: envoy.port(name) },
      }),
    });
    under.start();
    for (let round = 0; round < 4; round++) {
      if (under.sent === undefined) under.cluster.last.connected().answer(503);
      await under.clock.advance(300);
    }
    const shown: string[] = [];
    const fields = under.cluster.requests[0]?.head.fields ?? new Fields();
    // Lines of one name are one list to Envoy.
    const names = new Set(
      fields.flat.filter((_, at) => at % 2 === 0 && isShown(fields.flat[at] ?? "")),
    );
    for (const one of names) shown.push(`${one}: ${fields.joined(one)}`);
    return {
      attempts: under.cluster.requests.length,
      status: under.sent?.status ?? 0,
      headers: shown.sort(),
    };
  }

  for (const name of Object.keys(managers))
    it(`${name}: ${JSON.stringify(managers[name])}`, async () => {
      for (const values of forwardedFor) {
        const headers = [...asked, ...values.map((value) => ["x-forwarded-for", value] as const)];
        const theirs = await byEnvoy(name, headers);
        assert.deepEqual(
          await byUs(name, headers),
          theirs,
          `x-forwarded-for ${JSON.stringify(values)}`,
        );
      }
    });
});
