/** A dual-stack way in: the same tunnels over IPv4 and IPv6, and the client's address as the logs and the application see it. */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { defaultHboneSettings, type HboneClientSession } from "../../../src/shared/hbone/tunnel.ts";
import { handshakeClient } from "../../../src/shared/identity/handshake.ts";
import {
  AddressSchema,
  SocketAddressSchema,
} from "../../../src/shared/wire/gen/envoy/config/core/v3/address_pb.js";
import { AdditionalAddressSchema } from "../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import {
  changeListener,
  recordedResources,
  WaypointStage,
  waypointIp,
} from "../../support/waypoint/stage.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";

const waypointIp6 = "fd00:10::50";
const clientIp6 = "fd00:10::10";
const reviews = "10.96.1.1:80";

function dualStack(): ReturnType<typeof recordedResources> {
  const resources = recordedResources("l7-base");
  changeListener(resources, "connect_terminate", (listener) => {
    const value = create(SocketAddressSchema, {
      address: waypointIp6,
      portSpecifier: { case: "portValue", value: 15_008 },
    });
    const address = create(AddressSchema, { address: { case: "socketAddress", value } });
    listener.additionalAddresses.push(create(AdditionalAddressSchema, { address }));
  });
  return resources;
}

const stage = new WaypointStage({ resources: dualStack() });
const sessions: HboneClientSession[] = [];

async function clientOver(host: string, localAddress: string): Promise<HboneClientSession> {
  const socket = connect({ host, port: 15_008, localAddress, allowHalfOpen: true });
  socket.on("error", () => undefined);
  await once(socket, "connect");
  const { tls } = await handshakeClient({
    socket,
    certificate: stage.certificate("shop/web"),
    acceptedIdentities: [spiffe("shop/waypoint")],
    clock: systemClock,
  });
  const session = await openHboneClient(tls, defaultHboneSettings("client"), systemClock);
  sessions.push(session);
  return session;
}

before(async () => {
  stage.addIps("10.10.1.10", "10.10.1.11", "10.10.2.11");
  for (const ip of [waypointIp6, clientIp6])
    execFileSync("ip", ["addr", "replace", `${ip}/128`, "dev", "lo", "nodad"]);
  for (const ip of ["10.10.1.11", "10.10.2.11"]) {
    const server = createServer((request, response) => response.end(`from ${ip} ${request.url}`));
    await stage.listen(server, ip, 8080);
    await stage.ztunnel(ip, "shop/reviews");
  }
  await stage.start();
});

after(async () => {
  for (const session of sessions) session.destroy(new MeshError("drained", "test is over"));
  await stage.close();
});

for (const [family, host, from] of [
  ["IPv4", waypointIp, "10.10.1.10"],
  ["IPv6", waypointIp6, clientIp6],
] as const)
  test(`a tunnel over ${family}`, async () => {
    const session = await clientOver(host, from);
    const { status, body } = await stage.get(session, reviews, `/${family}`);
    assert.equal(status, 200);
    assert.match(body, new RegExp(`^from 10\\.10\\.[12]\\.11 /${family}$`));
  });

test("a destination in IPv6 that no chain takes is reset, not served", async () => {
  const session = await clientOver(waypointIp6, clientIp6);
  const inside = await stage.tunnel(session, "[fd00:96::1]:80");
  await assert.rejects(once(inside, "close"), /reset/);
  assert.equal((await stage.get(session, reviews, "/after")).status, 200);
});
