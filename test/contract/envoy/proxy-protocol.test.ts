/**
 * Envoy reads what we write to applications that take the PROXY protocol: both addresses, and the client's identity from TLV
 * 0xD0, over a real tunnel. It answers with what it understood.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../../src/shared/hbone/duplex.ts";
import { defaultHboneSettings } from "../../../src/shared/hbone/tunnel.ts";
import { handshakeClient } from "../../../src/shared/identity/handshake.ts";
import type { IpAddress } from "../../../src/shared/net/ip.ts";
import { Envoy, withoutEnvoy } from "../../support/envoy.ts";
import { makeService } from "../../support/mesh-builders.ts";
import { spiffe } from "../../unit/shared/identity/pki.ts";
import { LoopbackMesh, type LoopbackPod } from "../../unit/ztunnel/proxy/loopback-mesh.ts";

const type = (name: string): string => `type.googleapis.com/envoy.extensions.filters.${name}`;

/** Takes only connections that begin with a PROXY header, and tells every request what the header said. */
const tellingListener = {
  name: "application",
  address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
  listener_filters: [
    {
      name: "envoy.filters.listener.proxy_protocol",
      typed_config: {
        "@type": type("listener.proxy_protocol.v3.ProxyProtocol"),
        rules: [{ tlv_type: 0xd0, on_tlv_present: { key: "peer" } }],
        tlv_location: "FILTER_STATE",
      },
    },
  ],
  filter_chains: [
    {
      filters: [
        {
          name: "envoy.filters.network.http_connection_manager",
          typed_config: {
            "@type": type("network.http_connection_manager.v3.HttpConnectionManager"),
            stat_prefix: "application",
            local_reply_config: {
              body_format: {
                text_format_source: {
                  inline_string:
                    "%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %FILTER_STATE(envoy.network.proxy_protocol.tlv:FIELD:peer)%",
                },
              },
            },
            route_config: {
              virtual_hosts: [
                {
                  name: "all",
                  domains: ["*"],
                  routes: [{ match: { prefix: "/" }, direct_response: { status: 404 } }],
                },
              ],
            },
            http_filters: [
              {
                name: "envoy.filters.http.router",
                typed_config: { "@type": type("http.router.v3.Router") },
              },
            ],
          },
        },
      ],
    },
  ],
};

describe("PROXY protocol towards Envoy", { skip: withoutEnvoy }, () => {
  let envoy: Envoy;
  let mesh: LoopbackMesh;
  let pod: LoopbackPod;
  let clientIp: IpAddress;

  before(async () => {
    envoy = await Envoy.start({ listeners: [tellingListener], clusters: [] });
    mesh = new LoopbackMesh();
    clientIp = mesh.address();
    const behind = { "shop/way.shop.svc.cluster.local": { 80: 8080 } };
    pod = await mesh.addPod("way", {
      behind,
      applicationTunnel: { protocol: "PROXY", port: envoy.port("application") },
    });
    const service = makeService("way", { at: ["/240.240.0.7"], ports: { 80: 8080 } });
    mesh.store.apply({ addresses: [{ kind: "service", service }] });
  });
  after(async () => {
    mesh.stop();
    await envoy.stop();
  });

  /** The body of Envoy's answer, and our side's port. */
  async function told(authority: string): Promise<{ body: string; port: number }> {
    const socket = await mesh.connect({ ip: pod.ip, port: 15008 }, clientIp);
    const port = socket.localPort ?? 0;
    const { tls } = await handshakeClient({
      socket,
      certificate: mesh.certificate(spiffe("shop/web")),
      acceptedIdentities: [spiffe("shop/way")],
      clock: systemClock,
    });
    const session = await openHboneClient(tls, defaultHboneSettings("client"), systemClock);
    const answer = await session.connect({ authority, headers: [] }, new AbortController().signal);
    assert.ok(answer.kind === "open");
    const stream = tunnelAsDuplex(answer.stream);
    stream.write("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    stream.on("error", () => undefined);
    stream.destroy();
    session.drain();
    await session.closed;
    return { body: text.slice(text.indexOf("\r\n\r\n") + 4), port };
  }

  it("client, destination and identity, for an address", async () => {
    const { body, port } = await told("10.1.2.3:8443");
    assert.equal(body, `${clientIp}:${port} 10.1.2.3:8443 ${spiffe("shop/web")}`);
  });

  it("a service's virtual address and port, for a name", async () => {
    const { body, port } = await told("way.shop.svc.cluster.local:80");
    assert.equal(body, `${clientIp}:${port} 240.240.0.7:80 ${spiffe("shop/web")}`);
  });
});
