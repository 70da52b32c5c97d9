/** The same endpoints, settings and requests for Envoy and for our clusters: they must choose the same. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request as httpRequest, type Server } from "node:http";
import { after, before, describe, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { xxHash64 } from "../../../../src/shared/base/xxhash64.ts";
import type { Balance } from "../../../../src/waypoint/model/cluster.ts";
import { Balancer } from "../../../../src/waypoint/upstream/balance/balancer.ts";
import { Envoy, withoutEnvoy } from "../../../support/envoy.ts";
import { portOf } from "../../../support/hbone.ts";
import { host, hostSet, seeded } from "../../../support/waypoint/hosts.ts";

interface Backend {
  readonly server: Server;
  readonly port: number;
  readonly weight: number;
}

const backends: Backend[] = [];
let envoy: Envoy | undefined;

async function backend(weight: number, status = 200): Promise<Backend> {
  const server = createServer((_request, response) => {
    response.statusCode = status;
    response.end(String(portOf(server)));
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const made = { server, port: portOf(server), weight };
  backends.push(made);
  return made;
}

function cluster(name: string, endpoints: readonly Backend[], more: object): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "2s",
    load_assignment: {
      cluster_name: name,
      endpoints: [
        {
          lb_endpoints: endpoints.map(({ port, weight }) => ({
            endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } },
            load_balancing_weight: weight,
          })),
        },
      ],
    },
    ...more,
  };
}

function listener(name: string, hashed: boolean): object {
  const hcm = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3";
  const router = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router";
  const route = {
    cluster: name,
    ...(hashed ? { hash_policy: [{ header: { header_name: "x-hash" } }] } : {}),
  };
  return {
    name,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [
      {
        filters: [
          {
            name: "hcm",
            typed_config: {
              "@type": `${hcm}.HttpConnectionManager`,
              stat_prefix: name,
              route_config: {
                virtual_hosts: [
                  { name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, route }] },
                ],
              },
              http_filters: [{ name: "router", typed_config: { "@type": router } }],
            },
          },
        ],
      },
    ],
  };
}

function ask(port: number, hash: string): Promise<string> {
  return new Promise((resolve, reject) => {
    httpRequest({ host: "127.0.0.1", port, headers: { "x-hash": hash } }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        body += chunk;
      });
      response.on("end", () => resolve(body));
    })
      .on("error", reject)
      .end();
  });
}

const balances: Readonly<Record<string, { readonly ours: Balance; readonly theirs: object }>> = {
  ring: {
    ours: { kind: "ring-hash", minRingSize: 1024, maxRingSize: 8 * 1024 * 1024, byHostname: false },
    theirs: { lb_policy: "RING_HASH", ring_hash_lb_config: { minimum_ring_size: 1024 } },
  },
  maglev: {
    ours: { kind: "maglev", tableSize: 65537, byHostname: false },
    theirs: { lb_policy: "MAGLEV" },
  },
};

describe("choices beside Envoy", { skip: withoutEnvoy }, () => {
  let weighted: readonly Backend[] = [];

  before(async () => {
    weighted = await Promise.all([1, 1, 2, 3, 1, 5].map((weight) => backend(weight)));
    const failing = await Promise.all([500, 200, 200].map((status) => backend(1, status)));
    const outlier = {
      consecutive_5xx: 2,
      interval: "60s",
      base_ejection_time: "60s",
      enforcing_success_rate: 0,
    };
    envoy = await Envoy.start({
      listeners: [
        listener("ring", true),
        listener("maglev", true),
        listener("small-share", false),
        listener("large-share", false),
      ],
      clusters: [
        ...Object.entries(balances).map(([name, { theirs }]) => cluster(name, weighted, theirs)),
        cluster("small-share", failing, {
          outlier_detection: { ...outlier, max_ejection_percent: 10 },
        }),
        cluster("large-share", failing, {
          outlier_detection: { ...outlier, max_ejection_percent: 34 },
        }),
      ],
    });
  });

  after(async () => {
    await envoy?.stop();
    for (const { server } of backends) {
      server.closeAllConnections();
      server.close();
    }
  });

  for (const [name, { ours }] of Object.entries(balances))
    test(`${name}: 1500 hashes go to the same of six weighted endpoints`, async () => {
      const hosts = weighted.map(({ port, weight }) => host(`127.0.0.1:${port}`, { weight }));
      const balancer = new Balancer(
        { balance: ours, panicThresholdPercent: 50, localityWeighted: false },
        hostSet([{ hosts }]),
        { random: seeded(1), nowMs: () => 0 },
      );
      for (let at = 0; at < 1500; at++) {
        const text = `client ${at}`;
        const chosen = balancer.pick({
          hash: xxHash64(text),
          tried: [],
          moreAttempts: 0,
          previousPriorities: undefined,
        });
        const theirs = await ask(envoy?.port(name) ?? 0, text);
        assert.equal(`127.0.0.1:${theirs}`, chosen?.hashKey, text);
      }
    });

  for (const [name, ejects] of [
    ["small-share", false],
    ["large-share", true],
  ] as const)
    test(`${name}: one of three is ${ejects ? "" : "not "}ejected`, async () => {
      for (let at = 0; at < 30; at++) await ask(envoy?.port(name) ?? 0, "");
      await sleep(100);
      const text = (await envoy?.admin("/clusters")) ?? "";
      const ejected = text
        .split("\n")
        .filter((line) => line.startsWith(name) && line.includes("/failed_outlier_check"));
      assert.equal(ejected.length, ejects ? 1 : 0, text);
    });
});
