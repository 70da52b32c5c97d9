/** A small mesh, a codec written apart from the one under test, a nameserver that does as told, and a server on loopback. */
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { MeshStore } from "../../../../src/shared/model/store.ts";
import type { Service, Workload } from "../../../../src/shared/model/workload.ts";
import type { SocketAddress } from "../../../../src/shared/net/authority.ts";
import { ipOf } from "../../../../src/shared/net/ip.ts";
import { hostNetwork } from "../../../../src/shared/os/pod-network.ts";
import { createLogger, LogFilter, type Logger } from "../../../../src/shared/telemetry/logger.ts";
import type { DnsLabels, DnsMetrics } from "../../../../src/ztunnel/dns/metrics.ts";
import {
  type DnsServer,
  type DnsServerDeps,
  type DnsServerSettings,
  startDnsServer,
} from "../../../../src/ztunnel/dns/server.ts";
import type { DnsClient } from "../../../../src/ztunnel/dns/view.ts";

export function workload(over: Partial<Workload> & { uid: string }): Workload {
  return {
    name: over.uid,
    namespace: "ns1",
    addresses: [],
    hostname: "",
    network: "",
    networkMode: "Standard",
    protocol: "HBONE",
    trustDomain: "cluster.local",
    serviceAccount: "default",
    node: "node1",
    canonicalName: "app",
    canonicalRevision: "v1",
    workloadType: "pod",
    workloadName: "app",
    nativeTunnel: false,
    services: new Map(),
    authorizationPolicies: [],
    status: "Healthy",
    clusterId: "Kubernetes",
    locality: { region: "", zone: "", subzone: "" },
    capacity: 1,
    ...over,
  };
}

export interface ServiceSpec extends Partial<Omit<Service, "vips">> {
  hostname: string;
  /** `ip` or `network/ip`. */
  vips?: readonly string[];
}

export function service({ vips = [], ...over }: ServiceSpec): Service {
  return {
    name: over.hostname.split(".")[0] ?? "",
    namespace: "ns1",
    vips: vips.map((text) => {
      const [ip = "", network = ""] = text.split("/").reverse();
      return { network, ip: ipOf(ip) };
    }),
    cidrVips: [],
    ports: [],
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "Automatic",
    canonical: true,
    ingressUseWaypoint: false,
    visibility: "Public",
    ...over,
  };
}

export function store(
  services: readonly Service[],
  workloads: readonly Workload[] = [],
): MeshStore {
  const mesh = new MeshStore();
  mesh.apply({
    addresses: [
      ...services.map((one) => ({ kind: "service", service: one }) as const),
      ...workloads.map((one) => ({ kind: "workload", workload: one }) as const),
    ],
  });
  return mesh;
}

export const client: DnsClient = {
  name: "client-1",
  namespace: "ns1",
  network: "",
  canonicalName: "client",
  canonicalRevision: "v7",
};

export const type = {
  A: 1,
  CNAME: 5,
  SOA: 6,
  MX: 15,
  TXT: 16,
  AAAA: 28,
  SRV: 33,
  OPT: 41,
} as const;

export interface QuerySpec {
  name: string;
  type?: number;
  class?: number;
  id?: number;
  flags?: number;
  edns?: { payload: number; version?: number; flags?: number };
}

export function wireName(name: string): Buffer {
  const labels = name
    .replace(/\.$/, "")
    .split(".")
    .filter((label) => label !== "");
  return Buffer.concat([
    ...labels.map((label) => Buffer.from([label.length, ...Buffer.from(label, "latin1")])),
    Buffer.of(0),
  ]);
}

function words(...values: number[]): Buffer {
  const out = Buffer.alloc(2 * values.length);
  for (const [index, value] of values.entries()) out.writeUInt16BE(value, 2 * index);
  return out;
}

export function query(spec: QuerySpec): Buffer {
  const { edns } = spec;
  const opt =
    edns === undefined
      ? Buffer.alloc(0)
      : Buffer.concat([
          Buffer.of(0),
          words(type.OPT, edns.payload, edns.version ?? 0, edns.flags ?? 0, 0),
        ]);
  return Buffer.concat([
    words(spec.id ?? 0x1234, spec.flags ?? 0x0100, 1, 0, 0, edns === undefined ? 0 : 1),
    wireName(spec.name),
    words(spec.type ?? type.A, spec.class ?? 1),
    opt,
  ]);
}

/** An answer to `request` as a nameserver would give it. */
export function reply(request: Uint8Array, code = 0, address = "192.0.2.1"): Buffer {
  const question = Buffer.from(request.subarray(12));
  const answers = code === 0 ? 1 : 0;
  return Buffer.concat([
    Buffer.from(request.subarray(0, 2)),
    words(0x8180 | code, 1, answers, 0, 0),
    question,
    answers === 0
      ? Buffer.alloc(0)
      : Buffer.concat([words(0xc00c, 1, 1, 0, 60, 4), Buffer.from(address.split(".").map(Number))]),
  ]);
}

export interface Decoded {
  id: number;
  flags: number;
  rcode: number;
  aa: boolean;
  tc: boolean;
  question: string;
  /** `name TYPE data`. */
  answers: string[];
  ttls: number[];
  opt: { payload: number; flags: number; extendedRcode: number } | undefined;
  counts: readonly number[];
}

function readName(bytes: Buffer, start: number): [name: string, end: number] {
  let text = "";
  let end = -1;
  for (let at = start; ; ) {
    const length = bytes[at] ?? 0;
    if (length === 0) return [text === "" ? "." : text, end < 0 ? at + 1 : end];
    if (length >= 0xc0) {
      if (end < 0) end = at + 2;
      at = bytes.readUInt16BE(at) & 0x3fff;
      continue;
    }
    text += `${bytes.toString("latin1", at + 1, at + 1 + length)}.`;
    at += 1 + length;
  }
}

function recordData(bytes: Buffer, recordType: number, start: number, length: number): string {
  if (recordType === type.CNAME) return readName(bytes, start)[0];
  const data = bytes.subarray(start, start + length);
  if (recordType === type.A) return data.join(".");
  return ipOf(data.toString("hex").replace(/(.{4})(?=.)/g, "$1:"));
}

export function decode(response: Uint8Array): Decoded {
  const bytes = Buffer.from(response);
  const flags = bytes.readUInt16BE(2);
  const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
  let at = 12;
  let question = "";
  for (let left = counts[0] ?? 0; left > 0; left--) {
    const [name, end] = readName(bytes, at);
    question = `${name} ${bytes.readUInt16BE(end)}`;
    at = end + 4;
  }
  const decoded: Decoded = {
    id: bytes.readUInt16BE(0),
    flags,
    rcode: flags & 15,
    aa: (flags & 0x0400) !== 0,
    tc: (flags & 0x0200) !== 0,
    question,
    answers: [],
    ttls: [],
    opt: undefined,
    counts,
  };
  for (let left = (counts[1] ?? 0) + (counts[2] ?? 0) + (counts[3] ?? 0); left > 0; left--) {
    const [name, end] = readName(bytes, at);
    const recordType = bytes.readUInt16BE(end);
    const ttl = bytes.readUInt32BE(end + 4);
    const length = bytes.readUInt16BE(end + 8);
    at = end + 10 + length;
    if (recordType === type.OPT) {
      const payload = bytes.readUInt16BE(end + 2);
      decoded.opt = { payload, flags: ttl & 0xffff, extendedRcode: ttl >>> 24 };
      continue;
    }
    const label = Object.entries(type).find(([, value]) => value === recordType)?.[0];
    decoded.answers.push(`${name} ${label} ${recordData(bytes, recordType, end + 10, length)}`);
    decoded.ttls.push(ttl);
  }
  if (at !== bytes.length) throw new Error(`${bytes.length - at} bytes behind the message`);
  return decoded;
}

/** Keeps every count, by name and labels. */
export class CountingMetrics implements DnsMetrics {
  readonly counts = new Map<string, number>();

  series(labels: DnsLabels) {
    const count = (name: string) => {
      const key = `${name} ${labels.requestQueryType} ${labels.requestProtocol} ${labels.sourceCanonicalService} ${labels.sourceCanonicalRevision}`;
      this.counts.set(key, (this.counts.get(key) ?? 0) + 1);
    };
    return {
      request: () => count("request"),
      upstreamRequest: () => count("upstream"),
      upstreamFailure: () => count("failure"),
      upstreamDuration: () => count("duration"),
    };
  }
}

export type Behavior = (
  packet: Uint8Array,
  protocol: "udp" | "tcp",
) => Uint8Array | undefined | Promise<Uint8Array | undefined>;

/** A nameserver on one loopback port, UDP and TCP. */
export class FakeNameserver {
  readonly seen: { packet: Buffer; protocol: "udp" | "tcp"; port: number }[] = [];
  behavior: Behavior = (packet) => reply(packet);
  readonly port: number;
  readonly address: SocketAddress;
  readonly #udp: DatagramSocket;
  readonly #tcp: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(udp: DatagramSocket, tcp: Server, ip: string, behavior?: Behavior) {
    this.#udp = udp;
    this.#tcp = tcp;
    this.port = udp.address().port;
    this.address = { ip: ipOf(ip), port: this.port };
    if (behavior !== undefined) this.behavior = behavior;
    this.#receive();
  }

  static async start(behavior?: Behavior, ip = "127.0.0.1", port = 0): Promise<FakeNameserver> {
    for (;;) {
      const udp = createSocket(ip.includes(":") ? "udp6" : "udp4");
      await new Promise<void>((resolve) => udp.bind(port, ip, resolve));
      const tcp = createServer();
      // A port that is free for UDP may be taken for TCP; then another one is tried.
      const free = await new Promise<boolean>((resolve) => {
        tcp.once("error", () => resolve(false));
        tcp.listen(udp.address().port, ip, () => resolve(true));
      });
      if (free) return new FakeNameserver(udp, tcp, ip, behavior);
      udp.close();
      if (port !== 0) throw new Error(`port ${port} is in use`);
    }
  }

  #receive(): void {
    const udp = this.#udp;
    udp.on("message", async (packet, from) => {
      this.seen.push({ packet, protocol: "udp", port: from.port });
      const response = await this.behavior(packet, "udp");
      if (response !== undefined) udp.send(response, from.port, from.address);
    });
    this.#tcp.on("connection", (socket) => this.#serve(socket));
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("close", () => this.#sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    let held = Buffer.alloc(0);
    socket.on("data", async (chunk) => {
      held = Buffer.concat([held, chunk]);
      while (held.length >= 2 && held.length >= 2 + held.readUInt16BE(0)) {
        const packet = held.subarray(2, 2 + held.readUInt16BE(0));
        held = held.subarray(2 + packet.length);
        this.seen.push({ packet, protocol: "tcp", port: socket.remotePort ?? 0 });
        const response = await this.behavior(packet, "tcp");
        if (response !== undefined) socket.write(Buffer.concat([words(response.length), response]));
      }
    });
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.#tcp.close(() => resolve()));
    await new Promise<void>((resolve) => this.#udp.close(() => resolve()));
  }
}

export function collectingLogger(lines: string[], directives = "debug"): Logger {
  return createLogger(
    {
      clock: systemClock,
      filter: new LogFilter(directives),
      format: "plain",
      write: (line) => lines.push(line),
    },
    "dns",
  );
}

export interface RunningFixture {
  readonly server: DnsServer;
  readonly metrics: CountingMetrics;
  readonly lines: string[];
}

export async function startServer(
  deps: Partial<DnsServerDeps> & Pick<DnsServerDeps, "view">,
  settings: Partial<DnsServerSettings> = {},
): Promise<RunningFixture> {
  const metrics = new CountingMetrics();
  const lines: string[] = [];
  const server = await startDnsServer(
    {
      network: hostNetwork(systemClock),
      client: () => client,
      resolver: () => ({ nameservers: [], searchDomains: [] }),
      metrics,
      logger: collectingLogger(lines),
      clock: systemClock,
      random: Math.random,
      ...deps,
    },
    {
      port: 0,
      reusePort: false,
      ipv6Enabled: true,
      clusterDomain: "cluster.local",
      ...settings,
    },
  );
  return { server, metrics, lines };
}

/** Sends one datagram and waits for one. */
export async function askUdp(
  port: number,
  packet: Uint8Array,
  address = "127.0.0.1",
  waitMs = 8000,
): Promise<Buffer | undefined> {
  const socket = createSocket(address.includes(":") ? "udp6" : "udp4");
  try {
    return await new Promise<Buffer | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), waitMs);
      socket.once("message", (response) => {
        clearTimeout(timer);
        resolve(response);
      });
      socket.send(packet, port, address);
    });
  } finally {
    socket.close();
  }
}

/** A headless service with more endpoints than an answer over UDP can carry. */
export const headless = "big.ns1.svc.cluster.local";
/** That service, and one with an address in each family. */
export const view = store(
  [
    service({ hostname: "web.ns1.svc.cluster.local", vips: ["10.96.0.7", "fd00::7"] }),
    service({ hostname: headless }),
  ],
  Array.from({ length: 74 }, (_, index) =>
    workload({
      uid: `big-${index}`,
      addresses: [ipOf(`10.1.0.${index + 1}`)],
      services: new Map([[`ns1/${headless}` as const, new Map<number, number>()]]),
    }),
  ),
);
