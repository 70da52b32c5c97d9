/** What the mesh does to connections: where they go, as whom, and that nothing is lost on the way. */
import { systemClock } from "../../../shared/base/clock.ts";
import { DATABASE_PORT, ECHO_PORT, HTTP_PORT } from "../apps/protocol.ts";
import type { Scene } from "../scene.ts";
import { serviceIp } from "../shop.ts";
import { eventually, expect } from "../stage.ts";
import { describePacket, reportWire } from "./wire.ts";

const TRANSFER_BYTES = 64 << 20;
const SPREAD_REQUESTS = 40;
const LOG_DEADLINE_MS = 3_000;

export const wireEncrypted: Scene = {
  name: "wire-encrypted",
  title: "After: nothing readable crosses the link, only the tunnel",
  play: async (stage) => {
    // Connections that began before enrollment are plaintext by design; their last packets may still pass.
    await systemClock.sleep(200);
    const mark = stage.link.mark();
    const web = stage.app("web");
    for (let round = 0; round < 5; round++) {
      await web.call("get", { host: stage.pod("catalog-v2").ip, port: HTTP_PORT });
      await web.call("transfer", { host: stage.pod("db").ip, port: ECHO_PORT, bytes: 200_000 });
    }
    const wire = reportWire(stage.link.since(mark));
    const [readable] = wire.readable;
    const [outside] = wire.outsideTunnel;
    expect(readable === undefined, `readable: ${readable && describePacket(readable)}`);
    expect(outside === undefined, `outside the tunnel: ${outside && describePacket(outside)}`);
    expect(wire.tlsRecords > 0 && wire.bytes > 2_000_000, `only ${wire.bytes} bytes were seen`);
    return `${wire.packets} packets, ${wire.bytes} bytes, all of them TLS on port 15008`;
  },
};

export const identities: Scene = {
  name: "identities",
  title: "Both sides know the other's identity",
  play: async (stage) => {
    const mark = stage.access.mark();
    const pod = stage.pod("catalog-v2");
    await stage.app("web").call("get", { host: pod.ip, port: HTTP_PORT });
    const web = "spiffe://cluster.local/ns/shop/sa/web";
    const catalog = "spiffe://cluster.local/ns/shop/sa/catalog";
    for (const direction of ["outbound", "inbound"] as const)
      await eventually(
        () =>
          `no ${direction} connection from ${web} to ${catalog} was logged: ${JSON.stringify(stage.access.since(mark))}`,
        LOG_DEADLINE_MS,
        () =>
          stage.access
            .since(mark)
            .find(
              (entry) =>
                entry.direction === direction &&
                entry.sourceIdentity === web &&
                entry.destinationIdentity === catalog &&
                entry.hboneAddress === `${pod.ip}:${HTTP_PORT}`,
            ),
      );
    return `${web} to ${catalog}, as logged on node1 and on node2`;
  },
};

export const clientAddress: Scene = {
  name: "client-address-kept",
  title: "The application sees its client's own address",
  play: async (stage) => {
    const { ip } = stage.pod("web");
    for (const name of ["catalog-v1", "catalog-v2"]) {
      const target = { host: stage.pod(name).ip, port: HTTP_PORT };
      const { greeting } = await stage.app("web").call("get", target);
      expect(greeting.clientIp === ip, `${name} saw ${greeting.clientIp} instead of ${ip}`);
    }
    return `catalog-v1 on the same node and catalog-v2 on the other saw ${ip}`;
  },
};

export const serviceSpreads: Scene = {
  name: "service-spreads",
  title: "A service address reaches all its pods",
  play: async (stage) => {
    const target = { host: serviceIp("catalog"), port: 80 };
    const answers = await Promise.all(
      Array.from({ length: SPREAD_REQUESTS }, () => stage.app("web").call("get", target)),
    );
    const count = (pod: string): number =>
      answers.filter(({ greeting }) => greeting.pod === pod).length;
    const [first, second] = [count("catalog-v1"), count("catalog-v2")];
    expect(
      first >= 5 && second >= 5 && first + second === SPREAD_REQUESTS,
      `catalog-v1 answered ${first} times, catalog-v2 ${second} times`,
    );
    return `of ${SPREAD_REQUESTS} requests catalog-v1 answered ${first}, catalog-v2 ${second}`;
  },
};

export const serverFirst: Scene = {
  name: "server-speaks-first",
  title: "A protocol in which the server speaks first works",
  play: async (stage) => {
    const orders = stage.app("orders");
    const target = { host: serviceIp("db"), port: DATABASE_PORT };
    const { greeting } = await orders.call("open", { session: "sql", ...target });
    const { answer } = await orders.call("ask", { session: "sql", question: "select 1" });
    await orders.call("close", { session: "sql" });
    const { ip } = stage.pod("orders");
    expect(greeting.endsWith(`ready for ${ip}`), `the database greeted with "${greeting}"`);
    expect(answer.endsWith("select 1"), `the database answered "${answer}"`);
    return `the database greeted ${ip} before it was asked`;
  },
};

export const largeTransfer: Scene = {
  name: "large-transfer",
  title: "A large transfer arrives as it was sent, both ways",
  play: async (stage) => {
    const target = { host: serviceIp("db"), port: ECHO_PORT };
    const result = await stage.app("web").call("transfer", { ...target, bytes: TRANSFER_BYTES });
    expect(result.bytes === TRANSFER_BYTES, `${result.bytes} of ${TRANSFER_BYTES} bytes came back`);
    expect(result.sentSha256 === result.receivedSha256, "the hashes differ");
    const rate = (2 * TRANSFER_BYTES * 8) / result.tookMs / 1e6;
    return `${TRANSFER_BYTES >> 20} MiB there and back in ${Math.round(result.tookMs)} ms (${rate.toFixed(1)} Gbit/s), same SHA-256`;
  },
};

export const serviceNames: Scene = {
  name: "service-names",
  title: "The ztunnel answers for service names inside the pod",
  play: async (stage) => {
    const mark = stage.link.mark();
    const { addresses } = await stage
      .app("web")
      .call("resolve", { name: "catalog.shop.svc.cluster.local" });
    expect(
      addresses.length === 1 && addresses[0] === serviceIp("catalog"),
      `the name resolved to ${addresses.join(", ") || "nothing"}`,
    );
    const queries = stage.link
      .since(mark)
      .filter((packet) => packet.destinationPort === 53 && packet.sourceIp === stage.pod("web").ip);
    expect(queries.length === 0, "the question left the node for the cluster's name server");
    return `catalog.shop.svc.cluster.local is ${addresses[0]}; no question left the node`;
  },
};

export const ipv6: Scene = {
  name: "ipv6",
  title: "IPv6 goes through the tunnel as well",
  play: async (stage) => {
    const mark = stage.link.mark();
    const target = { host: stage.pod("catalog-v2").ip6, port: HTTP_PORT };
    const { greeting } = await stage.app("web").call("get", target);
    const wire = reportWire(stage.link.since(mark));
    expect(greeting.clientIp === stage.pod("web").ip6, `catalog-v2 saw ${greeting.clientIp}`);
    expect(wire.readable.length === 0, "the request can be read on the link");
    return `catalog-v2 saw ${greeting.clientIp}; nothing readable on the link`;
  },
};
