import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as httpServer } from "node:http";
import { connect as netConnect } from "node:net";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, test } from "node:test";
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { HboneClientSession } from "../../../src/shared/hbone/tunnel.ts";
import type { RouteConfiguration } from "../../../src/shared/wire/gen/envoy/config/route/v3/route_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { clusterType, endpointsType, listenerType } from "../../../src/waypoint/xds/types.ts";
import {
  changeListener,
  recordedResources,
  WaypointStage,
  waypointIp,
} from "../../support/waypoint/stage.ts";
import { eventually } from "../envoy/endpoints.ts";

const reviews = "10.96.1.1:80";
const chainName = "inbound-vip|80|http|reviews.shop.svc.cluster.local";

let stage: WaypointStage;
let web: HboneClientSession;
let backends = 0;

async function open(options: ConstructorParameters<typeof WaypointStage>[0] = {}): Promise<void> {
  stage = new WaypointStage(options);
  if (backends++ === 0) stage.addIps("10.10.1.11", "10.10.2.11", "10.10.1.10");
  for (const ip of ["10.10.1.11", "10.10.2.11"]) {
    await stage.listen(
      httpServer((request, response) => {
        if (request.url === "/slow") {
          response.write("begun ");
          setTimeout(() => response.end("done"), 400);
        } else response.end(ip);
      }),
      ip,
      8080,
    );
    await stage.ztunnel(ip, "shop/reviews");
  }
  await stage.start();
  web = await stage.client("shop/web", "10.10.1.10");
}

afterEach(() => stage.close());

/** Rewrites the routes of `reviews` in the recorded listener. */
function changeRoutes(
  change: (routes: RouteConfiguration, manager: HttpConnectionManager) => void,
): void {
  changeListener(stage.player.resources, "main_internal", (listener) => {
    const chain = listener.filterChains.find(({ name }) => name === chainName);
    const config = chain?.filters.at(-1)?.configType;
    if (config?.case !== "typedConfig") throw new Error("no HTTP chain");
    const manager = fromBinary(HttpConnectionManagerSchema, config.value.value);
    if (manager.routeSpecifier.case !== "routeConfig") throw new Error("no routes");
    change(manager.routeSpecifier.value, manager);
    config.value.value = toBinary(HttpConnectionManagerSchema, manager);
  });
}

function answerDirectly(status: number): void {
  changeRoutes(({ virtualHosts }) => {
    for (const route of virtualHosts.flatMap(({ routes }) => routes))
      route.action = {
        case: "directResponse",
        value: {
          $typeName: "envoy.config.route.v3.DirectResponseAction",
          status,
        },
      };
  });
}

describe("configuration", () => {
  beforeEach(() => open());

  test("new routes hold for the next request, on a connection that is open already", async () => {
    const inside = await stage.tunnel(web, reviews);
    assert.match(await keepAlive(inside), /^HTTP\/1\.1 200 /);
    answerDirectly(418);
    stage.player.push(listenerType, ["main_internal"]);
    await eventually(
      "the new routes are in force",
      async () => (await stage.get(web, reviews, "/")).status === 418,
    );
    assert.match(await keepAlive(inside), /^HTTP\/1\.1 418 /);
  });

  test("a listener that cannot be understood is refused with its path, and the last good one serves", async () => {
    changeRoutes((_routes, manager) => {
      const [filter] = manager.httpFilters;
      if (filter?.configType.case === "typedConfig")
        filter.configType.value.typeUrl = "type.googleapis.com/example.Unknown";
    });
    stage.player.push(listenerType, ["main_internal"]);
    await eventually("the refusal", () => Promise.resolve(stage.player.refusals.length > 0));
    assert.match(
      stage.player.refusals[0] ?? "",
      /^Listener: main_internal: main_internal\.filter_chains\[\d+\]\(inbound-vip\|80.*http_filters\[0\].*example\.Unknown is not supported/,
    );
    assert.equal((await stage.get(web, reviews, "/")).status, 200);
    const dump = await fetch("http://127.0.0.1:15000/config_dump?resource=dynamic_listeners");
    const { configs } = (await dump.json()) as {
      configs: { name: string; error_state?: { details: string } }[];
    };
    const main = configs.find(({ name }) => name === "main_internal");
    assert.match(main?.error_state?.details ?? "", /example\.Unknown/);
  });

  test("a bad cluster is refused alone", async () => {
    const clusters = stage.player.resources.get(clusterType);
    const good = clusters?.get(chainName);
    assert.ok(good?.resource);
    clusters?.set(chainName, {
      ...good,
      resource: { ...good.resource, value: Uint8Array.of(0xff, 0xff) },
    });
    stage.player.push(clusterType, [chainName]);
    await eventually("the refusal", () => Promise.resolve(stage.player.refusals.length > 0));
    assert.match(stage.player.refusals[0] ?? "", /^Cluster: inbound-vip\|80/);
    assert.equal((await stage.get(web, reviews, "/")).status, 200);
  });

  test("a chain that is removed ends its connections and leads nowhere", async () => {
    const inside = await stage.tunnel(web, reviews);
    assert.equal((await keepAlive(inside)).includes("200 OK"), true);
    stage.player.push(listenerType, [], ["main_internal"]);
    await once(inside, "end");
    const after = await stage.tunnel(web, reviews);
    const [error] = (await once(after.resume(), "error")) as [Error];
    assert.match(error.message, /reset/);
  });
});

/** One request by hand, without asking for the end of the connection. */
async function keepAlive(inside: Duplex): Promise<string> {
  inside.write("GET / HTTP/1.1\r\nhost: reviews\r\n\r\n");
  const [head] = (await once(inside, "data")) as [Buffer];
  return head.toString();
}

describe("control plane", () => {
  test("traffic goes on while it is away, and it is caught up with afterwards", async () => {
    await open();
    stage.player.breakStream();
    for (let i = 0; i < 10; i++) assert.equal((await stage.get(web, reviews, "/")).status, 200);
    await eventually("a new stream", () => Promise.resolve(stage.player.streams === 2));
    answerDirectly(418);
    stage.player.push(listenerType, ["main_internal"]);
    await eventually(
      "the new routes are in force",
      async () => (await stage.get(web, reviews, "/")).status === 418,
    );
  });

  test("a renewed token is read again for the next connection", async () => {
    await open();
    assert.deepEqual(stage.tokens, ["Bearer first-token"]);
    assert.deepEqual(stage.player.tokens, ["Bearer first-token"]);
    writeFileSync(stage.tokenFile, "second-token");
    stage.player.breakStream();
    await eventually("a new stream", () => Promise.resolve(stage.player.streams === 2));
    assert.deepEqual(stage.player.tokens.at(-1), "Bearer second-token");
  });

  test("without the endpoints of a cluster the listeners wait, but not for ever", async () => {
    const resources = recordedResources("l7-base");
    resources.get(endpointsType)?.delete("inbound-vip|5432|tcp|db.shop.svc.cluster.local");
    const before = performance.now();
    await open({ resources, env: { AMBIT_WARMING_DEADLINE: "700ms" } });
    assert.ok(performance.now() - before > 650);
    assert.match(stage.log.join(""), /without the endpoints of all its clusters/);
    assert.equal((await stage.get(web, reviews, "/")).status, 200);
  });
});

test("on demand, a client is asked for when it comes, and named from its first request on", async () => {
  await open({ env: { XDS_ON_DEMAND: "true" } });
  await stage.get(web, reviews, "/");
  await stage.get(web, reviews, "/");
  const metrics = await (await fetch("http://127.0.0.1:15020/stats/prometheus")).text();
  assert.match(metrics, /istio_requests_total\{[^}]*source_workload="web[^}]*\} /);
  assert.doesNotMatch(metrics, /istio_requests_total\{[^}]*source_workload="unknown"/);
});

describe("the end", () => {
  test("a request under way is finished, newcomers are served until the door closes", async () => {
    await open({ env: { AMBIT_TERMINATION_DRAIN: "300ms" } });
    const slow = stage.get(web, reviews, "/slow");
    await new Promise((wait) => setTimeout(wait, 50));
    const ended = stage.shutdown();
    await eventually("GOAWAY has come", () => Promise.resolve(!web.usable));
    const late = await stage.client("shop/late");
    assert.equal((await stage.get(late, reviews, "/")).status, 200);
    const ready = await fetch("http://127.0.0.1:15021/healthz/ready");
    assert.equal(ready.status, 503);
    assert.equal((await slow).body, "begun done");
    await ended;
    const refused = netConnect({ host: waypointIp, port: 15008 });
    const [error] = (await once(refused, "error")) as [NodeJS.ErrnoException];
    assert.equal(error.code, "ECONNREFUSED");
  });

  test("under load no request is lost by a client that heeds GOAWAY", async () => {
    await open({ env: { AMBIT_TERMINATION_DRAIN: "300ms" } });
    let session = web;
    let answered = 0;
    const failures: string[] = [];
    let over = false;
    const request = async (): Promise<void> => {
      if (!session.usable) session = await stage.client("shop/web");
      const used = session;
      const status = await stage.get(used, reviews, "/").then(
        (answer) => answer.status,
        // Whoever asked for a tunnel on a session that was just told to go asks again elsewhere.
        (thrown: unknown) => (used.usable ? String(thrown) : 200),
      );
      if (status === 200) answered++;
      else failures.push(String(status));
    };
    const worker = async (): Promise<void> => {
      while (!over) await request();
    };
    const workers = Array.from({ length: 8 }, worker);
    await new Promise((wait) => setTimeout(wait, 150));
    const ended = stage.shutdown();
    await new Promise((wait) => setTimeout(wait, 200));
    over = true;
    await Promise.all(workers);
    await ended;
    assert.ok(answered > 20, String(answered));
    assert.deepEqual(failures, []);
  });

  test("what does not end is cut at the deadline", async () => {
    await open({ env: { CONNECTION_TERMINATION_DEADLINE: "400ms" } });
    const inside = await stage.tunnel(web, reviews);
    assert.equal((await keepAlive(inside)).includes("200 OK"), true);
    // The head of a request that never ends.
    inside.write("POST / HTTP/1.1\r\nhost: reviews\r\ncontent-length: 10\r\n\r\n");
    const before = performance.now();
    await stage.shutdown();
    const tookMs = performance.now() - before;
    assert.ok(tookMs > 350 && tookMs < 2000, String(tookMs));
  });
});

test("operators' pages", async () => {
  await open();
  await stage.get(web, reviews, "/");
  const text = async (port: number, path: string, method = "GET"): Promise<string> => {
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method });
    return `${answer.status} ${await answer.text()}`;
  };
  assert.equal(await text(15021, "/healthz/ready"), "200 ready\n");
  assert.equal(await text(15000, "/ready"), "200 LIVE\n");
  const stats = await text(
    15000,
    "/stats?usedonly&filter=^(server.state|cluster_manager.cds.update_success|listener_manager.(lds.update_success|workers_started))$",
  );
  assert.equal(
    stats,
    "200 cluster_manager.cds.update_success: 1\nlistener_manager.lds.update_success: 1\nlistener_manager.workers_started: 1\nserver.state: 0\n",
  );
  for (const port of [15020, 15090, 15000]) {
    const metrics = await text(port, "/stats/prometheus");
    assert.match(metrics, /^200 /);
    assert.match(
      metrics,
      /istio_requests_total\{.*destination_service="reviews\.shop\.svc\.cluster\.local".*\} 1/,
    );
    assert.match(metrics, /envoy_cluster_manager_cds_update_success 1/);
  }
  const dump = JSON.parse((await text(15000, "/config_dump?include_eds")).slice(4)) as {
    configs: { "@type": string }[];
  };
  assert.deepEqual(
    dump.configs.map((config) => config["@type"].replace(/^.*\./, "")),
    [
      "BootstrapConfigDump",
      "ClustersConfigDump",
      "EndpointsConfigDump",
      "ListenersConfigDump",
      "RoutesConfigDump",
      "SecretsConfigDump",
    ],
  );
  const whole = JSON.stringify(dump);
  assert.match(whole, /"private_key":\{"inline_bytes":"W3JlZGFjdGVkXQ=="\}/);
  assert.doesNotMatch(whole, /PRIVATE KEY/);
  assert.match(
    await text(15000, "/clusters"),
    /inbound-vip\|80\|http\|reviews[^\n]*::envoy:\/\/connect_originate\/10\.10\.1\.11:8080::health_flags::healthy/,
  );
  const endpoints = JSON.parse((await text(15000, "/clusters?format=json")).slice(4)) as {
    cluster_statuses: { name: string; host_statuses: unknown[] }[];
  };
  assert.equal(
    endpoints.cluster_statuses.find(({ name }) => name === chainName)?.host_statuses.length,
    2,
  );
  const certs = JSON.parse((await text(15000, "/certs")).slice(4)) as {
    certificates: { cert_chain: { subject_alt_names: { uri: string }[] }[] }[];
  };
  assert.equal(
    certs.certificates[0]?.cert_chain[0]?.subject_alt_names[0]?.uri,
    "spiffe://cluster.local/ns/shop/sa/waypoint",
  );
  assert.match(await text(15000, "/server_info"), /"state": "LIVE"/);
  assert.match(await text(15000, "/logging", "POST"), /current log level/);
  assert.match(await text(15000, "/debug/decisions"), /^200 /);
  assert.equal((await text(15000, "/quitquitquit")).slice(0, 3), "405");
  // Open to the network, but only for this machine.
  const foreign = await fetch(`http://${waypointIp}:15020/quitquitquit`, { method: "POST" });
  assert.equal(foreign.status, 403);
  assert.match(await text(15020, "/quitquitquit", "POST"), /^200/);
  await stage.ended;
});
