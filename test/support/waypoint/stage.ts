/**
 * A waypoint in this process, with everything around it in the test's own network namespace: a control plane that plays recorded
 * resources, an authority, ztunnels at the pods' addresses, and clients with identities. Import sandbox.ts first.
 */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { Server as HttpServer, request as httpRequest, type IncomingMessage } from "node:http";
import { createServer, connect as netConnect, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import type { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Server as GrpcServer, ServerCredentials } from "@grpc/grpc-js";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { MeshError } from "../../../src/shared/base/errors.ts";
import { createCertificateMethod } from "../../../src/shared/grpc/certificate-service.ts";
import { openHboneClient } from "../../../src/shared/hbone/client.ts";
import { tunnelAsDuplex } from "../../../src/shared/hbone/duplex.ts";
import { joinFlow } from "../../../src/shared/hbone/flow.ts";
import { serveHbone } from "../../../src/shared/hbone/server.ts";
import {
  defaultHboneSettings,
  type HboneClientSession,
  type HboneServerSession,
  type TunnelAnswer,
} from "../../../src/shared/hbone/tunnel.ts";
import { readSigningRequest } from "../../../src/shared/identity/csr.ts";
import { handshakeClient, handshakeServer } from "../../../src/shared/identity/handshake.ts";
import { issueLeaf } from "../../../src/shared/identity/issue.ts";
import { formatSpiffe } from "../../../src/shared/identity/spiffe.ts";
import {
  type Listener,
  ListenerSchema,
} from "../../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import {
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import {
  type IstioCertificateRequest,
  IstioCertificateResponseSchema,
} from "../../../src/shared/wire/gen/istio/v1/auth/ca_pb.js";
import { runWaypoint } from "../../../src/waypoint/app.ts";
import { loadConfig, type WaypointConfig } from "../../../src/waypoint/config.ts";
import { decodeWorkload } from "../../../src/waypoint/xds/decode-workload.ts";
import {
  clusterType,
  endpointsType,
  listenerType,
  workloadType,
} from "../../../src/waypoint/xds/types.ts";
import { aroundNow, newRoot, newWorkload, spiffe } from "../../unit/shared/identity/pki.ts";
import { FakeControlPlane, type FakeStream } from "../fake-control-plane.ts";

export const waypointIp = "10.10.2.50";

const files: Readonly<Record<string, string>> = {
  [clusterType]: "Cluster",
  [endpointsType]: "ClusterLoadAssignment",
  [listenerType]: "Listener",
  [workloadType]: "Workload",
};

type Resource = DeltaDiscoveryResponse["resources"][number];

/** What the reference sent for a case, by type and name; the way in is moved to the waypoint's own address. */
export function recordedResources(golden: string): Map<string, Map<string, Resource>> {
  const dir = resolve(import.meta.dirname, "../../golden", golden, "waypoint");
  const all = new Map<string, Map<string, Resource>>();
  for (const [typeUrl, file] of Object.entries(files)) {
    const { resources } = fromBinary(
      DeltaDiscoveryResponseSchema,
      readFileSync(join(dir, `${file}.binpb`)),
    );
    all.set(typeUrl, new Map(resources.map((resource) => [resource.name, resource])));
  }
  changeListener(all, "connect_terminate", (listener) => {
    if (listener.address?.address.case === "socketAddress")
      listener.address.address.value.address = waypointIp;
  });
  return all;
}

/** Rewrites one recorded listener. */
export function changeListener(
  resources: Map<string, Map<string, Resource>>,
  name: string,
  change: (listener: Listener) => void,
): void {
  const held = resources.get(listenerType)?.get(name);
  if (held?.resource === undefined) throw new Error(`no listener ${name}`);
  const listener = fromBinary(ListenerSchema, held.resource.value);
  change(listener);
  const value = toBinary(ListenerSchema, listener);
  resources.get(listenerType)?.set(name, { ...held, resource: { ...held.resource, value } });
}

/** Serves recorded resources as istiod would: what is asked for, in the order in which it is asked. */
export class Player {
  readonly plane = new FakeControlPlane();
  readonly resources: Map<string, Map<string, Resource>>;
  /** `type: text` of each NACK. */
  readonly refusals: string[] = [];
  readonly acknowledged: string[] = [];
  /** Of each stream. */
  readonly tokens: string[] = [];
  streams = 0;
  #stream: FakeStream | undefined;
  #nonce = 0;
  #stopped = false;

  constructor(resources: Map<string, Map<string, Resource>>) {
    this.resources = resources;
  }

  async start(): Promise<string> {
    const address = await this.plane.start();
    void this.#serve();
    return address;
  }

  /** Sends the present form of these, as a push does. */
  push(typeUrl: string, names: readonly string[], removed: readonly string[] = []): void {
    const held = this.resources.get(typeUrl);
    const resources = names.map((name) => held?.get(name)).filter((one) => one !== undefined);
    this.#stream?.respond({
      typeUrl,
      nonce: String(++this.#nonce),
      resources,
      removedResources: [...removed],
    });
  }

  /** The stream breaks; the client comes back. */
  breakStream(): void {
    this.#stream?.end({ code: 14, details: "restart" });
  }

  stop(): void {
    this.#stopped = true;
    this.plane.stop();
  }

  async #serve(): Promise<void> {
    while (!this.#stopped) {
      const stream = await this.plane.nextStream();
      this.#stream = stream;
      this.streams++;
      this.tokens.push(String(stream.metadata.get("authorization")[0] ?? ""));
      void this.#answer(stream);
    }
  }

  /** Keys `<network>/<ip>`: the workload that has the address, or its absence. */
  #byAddress(keys: readonly string[]): void {
    const all = [...(this.resources.get(workloadType)?.values() ?? [])];
    for (const key of keys) {
      const found = all.find(({ resource }) =>
        decodeWorkload(resource?.value ?? new Uint8Array()).addresses.includes(
          key.split("/")[1] ?? "",
        ),
      );
      this.#stream?.respond({
        typeUrl: workloadType,
        nonce: String(++this.#nonce),
        resources: found === undefined ? [] : [{ ...found, aliases: [key] }],
        removedResources: found === undefined ? [key] : [],
      });
    }
  }

  async #answer(stream: FakeStream): Promise<void> {
    for (;;) {
      const request = await stream.next();
      if (this.#stream === stream) this.#take(request);
    }
  }

  #take(request: Awaited<ReturnType<FakeStream["next"]>>): void {
    const { typeUrl, errorDetail, responseNonce, resourceNamesSubscribe: wanted } = request;
    const short = files[typeUrl] ?? typeUrl;
    const held = this.resources.get(typeUrl);
    if (errorDetail !== undefined) this.refusals.push(`${short}: ${errorDetail.message}`);
    else if (responseNonce !== "") this.acknowledged.push(short);
    else if (held === undefined) return;
    else if (wanted.length === 0 && request.resourceNamesUnsubscribe.length > 0) return;
    else if (typeUrl === workloadType && wanted.length > 0) this.#byAddress(wanted);
    else this.push(typeUrl, wanted.length === 0 ? [...held.keys()] : wanted);
  }
}

/** A ztunnel's inbound side, as far as a waypoint sees it. */
interface FakeZtunnel {
  readonly server: Server;
  readonly sessions: Set<HboneServerSession>;
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface StageOptions {
  readonly golden?: string;
  readonly resources?: Map<string, Map<string, Resource>>;
  readonly env?: Readonly<Record<string, string>>;
  readonly config?: Partial<WaypointConfig>;
}

export class WaypointStage {
  readonly player: Player;
  readonly log: string[] = [];
  readonly #options: StageOptions;
  readonly #dir = mkdtempSync(join(tmpdir(), "ambit-waypoint-"));
  readonly #root = newRoot();
  readonly #authority = new GrpcServer();
  /** Tokens that came with certificate requests. */
  readonly tokens: string[] = [];
  readonly #ztunnels: FakeZtunnel[] = [];
  readonly #servers: Server[] = [];
  readonly #clients: HboneClientSession[] = [];
  readonly #shutdown = new AbortController();
  readonly #kill = new AbortController();
  /** CONNECT authorities that arrived at pods, with the peer's identity. */
  readonly arrivals: { readonly authority: string; readonly peer: string }[] = [];
  ended: Promise<void> | undefined;

  constructor(options: StageOptions = {}) {
    this.#options = options;
    this.player = new Player(options.resources ?? recordedResources(options.golden ?? "l7-base"));
  }

  get tokenFile(): string {
    return join(this.#dir, "token");
  }

  /** Addresses of loopback stand for pods. */
  addIps(...ips: readonly string[]): void {
    execFileSync("ip", ["link", "set", "lo", "up"]);
    for (const ip of ips) execFileSync("ip", ["addr", "replace", `${ip}/32`, "dev", "lo"]);
  }

  /** Control plane and authority; the environment that leads to them. */
  async surround(): Promise<Readonly<Record<string, string>>> {
    this.addIps(waypointIp);
    writeFileSync(this.tokenFile, "first-token");
    const xds = await this.player.start();
    const ca = await this.#certify();
    return {
      POD_NAME: "waypoint-0",
      POD_NAMESPACE: "shop",
      SERVICE_ACCOUNT: "waypoint",
      INSTANCE_IP: waypointIp,
      XDS_ADDRESS: xds,
      CA_ADDRESS: ca,
      AUTH_TOKEN: this.tokenFile,
      AMBIT_TERMINATION_DRAIN: "0s",
      IPV6_ENABLED: "false",
      ...this.#options.env,
    };
  }

  async start(): Promise<void> {
    const config = loadConfig({
      env: await this.surround(),
      args: [],
      readFile: () => undefined,
      fileExists: (path) => path === this.tokenFile,
    });
    this.ended = runWaypoint({
      config: { ...config, ...this.#options.config },
      clock: systemClock,
      random: Math.random,
      writeLog: (line) => this.log.push(line),
      variable: () => undefined,
      version: "test",
      shutdown: this.#shutdown.signal,
      kill: this.#kill.signal,
    });
    await Promise.race([
      this.ready(),
      this.ended.then(() => {
        throw new Error("the waypoint ended early");
      }),
    ]);
  }

  /** A pod's ztunnel: joins tunnels to the application at the authority's address. */
  async ztunnel(ip: string, serviceAccount: string): Promise<void> {
    const certificate = newWorkload(this.#root, { uris: [spiffe(serviceAccount)] });
    const sessions = new Set<HboneServerSession>();
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      socket.on("error", () => socket.destroy());
      void this.#accept(socket, certificate, sessions).catch(() => socket.destroy());
    });
    await once(server.listen(15008, ip), "listening");
    this.#ztunnels.push({ server, sessions });
  }

  /** What a workload of the mesh presents, with its key. */
  certificate(serviceAccount: string): ReturnType<typeof newWorkload> {
    return newWorkload(this.#root, { uris: [spiffe(serviceAccount)] });
  }

  /** Any server on a pod's address, closed at the end. */
  async listen(server: Server, ip: string, port: number): Promise<void> {
    await once(server.listen(port, ip), "listening");
    this.#servers.push(server);
  }

  /** Mutual TLS with the waypoint, and nothing yet inside. */
  async secured(
    serviceAccount: string,
    fromIp = "127.0.0.1",
    trustDomain = "cluster.local",
  ): Promise<TLSSocket> {
    const socket = netConnect({
      host: waypointIp,
      port: 15008,
      localAddress: fromIp,
      allowHalfOpen: true,
      noDelay: true,
    });
    socket.on("error", () => undefined);
    await once(socket, "connect");
    const certificate = newWorkload(this.#root, { uris: [spiffe(serviceAccount, trustDomain)] });
    const { tls } = await handshakeClient({
      socket,
      certificate,
      acceptedIdentities: [spiffe("shop/waypoint")],
      clock: systemClock,
    });
    return tls;
  }

  /** An HBONE connection as a ztunnel opens one for a pod of this identity. */
  async client(
    serviceAccount: string,
    fromIp = "127.0.0.1",
    trustDomain = "cluster.local",
  ): Promise<HboneClientSession> {
    const tls = await this.secured(serviceAccount, fromIp, trustDomain);
    const session = await openHboneClient(tls, defaultHboneSettings("client"), systemClock);
    this.#clients.push(session);
    return session;
  }

  connect(
    session: HboneClientSession,
    authority: string,
    headers: readonly (readonly [string, string])[] = [],
  ): Promise<TunnelAnswer> {
    return session.connect({ authority, headers }, new AbortController().signal);
  }

  /** The inside of a tunnel. */
  async tunnel(session: HboneClientSession, authority: string): Promise<Duplex> {
    const answer = await this.connect(session, authority);
    if (answer.kind !== "open") throw new Error(`CONNECT ${authority}: ${answer.status}`);
    // A tunnel that is cut is for the test to notice, by what it waits for.
    return tunnelAsDuplex(answer.stream).on("error", () => undefined);
  }

  /** One HTTP/1.1 request in a tunnel of its own. */
  async get(
    session: HboneClientSession,
    authority: string,
    path: string,
    options: {
      readonly method?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
    } = {},
  ): Promise<Answer> {
    const inside = await this.tunnel(session, authority);
    return requestOver(inside, path, options);
  }

  shutdown(): Promise<void> {
    this.#shutdown.abort(new Error("SIGTERM"));
    return this.ended ?? Promise.resolve();
  }

  async close(): Promise<void> {
    this.#shutdown.abort(new Error("over"));
    this.#kill.abort(new Error("over"));
    const over = new MeshError("drained", "test is over");
    for (const session of this.#clients) session.destroy(over);
    for (const { server, sessions } of this.#ztunnels) {
      server.close();
      for (const session of sessions) session.destroy(over);
    }
    for (const server of this.#servers) {
      server.close();
      if (server instanceof HttpServer) server.closeAllConnections();
    }
    await this.ended?.catch(() => undefined);
    this.player.stop();
    this.#authority.forceShutdown();
    rmSync(this.#dir, { recursive: true });
  }

  async #accept(
    socket: Socket,
    certificate: ReturnType<typeof newWorkload>,
    sessions: Set<HboneServerSession>,
  ): Promise<void> {
    const { tls, peer } = await handshakeServer({
      socket,
      certificate,
      trustDomain: "cluster.local",
      clock: systemClock,
    });
    const session = serveHbone(tls, defaultHboneSettings("server"), systemClock, (tunnel) => {
      this.arrivals.push({ authority: tunnel.authority, peer: formatSpiffe(peer) });
      const [host = "", port = ""] = tunnel.authority.split(":");
      const application = netConnect({ host, port: Number(port), allowHalfOpen: true });
      application.once("error", () => tunnel.refuse(503));
      application.once("connect", () => {
        application.removeAllListeners("error");
        application.on("error", () => undefined);
        joinFlow(tunnel.accept([]), application);
      });
    });
    sessions.add(session);
    await session.closed;
    sessions.delete(session);
  }

  async #certify(): Promise<string> {
    this.#authority.addService(
      { createCertificate: createCertificateMethod },
      {
        createCertificate: (
          call: { request: IstioCertificateRequest; metadata: { get(name: string): unknown[] } },
          done: (error: Error | null, value?: unknown) => void,
        ) => {
          this.tokens.push(String(call.metadata.get("authorization")[0] ?? ""));
          const { publicKey } = readSigningRequest(call.request.csr);
          const leaf = issueLeaf(
            this.#root,
            publicKey,
            { uris: [spiffe("shop/waypoint")] },
            aroundNow(),
          );
          done(
            null,
            create(IstioCertificateResponseSchema, {
              certChain: [leaf.pem, this.#root.certificate.pem],
            }),
          );
        },
      },
    );
    const port = await new Promise<number>((done, failed) => {
      this.#authority.bindAsync(
        "127.0.0.1:0",
        ServerCredentials.createInsecure(),
        (error, bound) => (error === null ? done(bound) : failed(error)),
      );
    });
    return `http://127.0.0.1:${port}`;
  }

  /** The probe says so. */
  async ready(): Promise<void> {
    for (let i = 0; i < 400; i++) {
      const answer = await fetch("http://127.0.0.1:15021/healthz/ready").catch(() => undefined);
      if (answer?.status === 200) return;
      await new Promise((wait) => setTimeout(wait, 25));
    }
    throw new Error(
      `the waypoint is not ready:\n${this.log.join("")}${this.player.refusals.join("\n")}`,
    );
  }
}

export async function requestOver(
  inside: Duplex,
  path: string,
  options: {
    readonly method?: string;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string;
  } = {},
): Promise<Answer> {
  const call = httpRequest({
    createConnection: () => inside as Socket,
    path,
    method: options.method ?? "GET",
    headers: { host: "reviews.shop", ...options.headers },
  });
  // Also after the answer: the tunnel may end at any time.
  call.on("error", () => undefined);
  const answered = once(call, "response") as Promise<[IncomingMessage]>;
  call.end(options.body);
  const [response] = await answered;
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}
