/**
 * Copies of a request to other clusters. Nobody waits for their answers, and a mirror that does not keep up is given up: it
 * may hold back neither the request nor memory.
 */
import type { Timer } from "../../shared/base/clock.ts";
import type { Fields, RequestHead } from "../http/message.ts";
import type { BodyWriter } from "../http/stream.ts";
import type { Forward, Mirror } from "../model/route.ts";
import { inFraction } from "../routing/match.ts";
import type { Cluster, UpstreamReceiver } from "../upstream/upstream.ts";
import type { RouterHost } from "./host.ts";
import type { Timeouts } from "./timeouts.ts";

/** What may wait for a mirror that takes no more. */
const maxWaitingBytes = 1024 * 1024;
/** Where the route has no timeout. */
const longestMs = 60_000;

export class Mirrors {
  readonly #open: MirrorRequest[];

  private constructor(open: MirrorRequest[]) {
    this.#open = open;
  }

  /** Draws for each mirror; undefined: none is due. */
  static start(host: RouterHost, forward: Forward, timeouts: Timeouts): Mirrors | undefined {
    const due: MirrorRequest[] = [];
    for (const mirror of forward.mirrors) {
      if (mirror.fraction !== undefined && !inFraction(mirror.fraction, host.random())) continue;
      const cluster = host.clusters.get(mirror.cluster);
      if (cluster !== undefined)
        due.push(new MirrorRequest(host, cluster, mirror, timeouts.totalMs || longestMs));
    }
    return due.length === 0 ? undefined : new Mirrors(due);
  }

  open(endStream: boolean): void {
    for (const one of this.#open) one.open(endStream);
  }

  body(bytes: Buffer, start: number, end: number): void {
    for (const one of this.#open) one.send(bytes, start, end);
  }

  end(trailers: Fields | undefined): void {
    for (const one of this.#open) one.sendEnd(trailers);
  }

  /** The request is over. A mirror that has all of it goes on; half a request must not look like a whole one. */
  abandoned(requestEnded: boolean): void {
    if (!requestEnded) for (const one of this.#open) one.stop();
  }
}

class MirrorRequest implements UpstreamReceiver {
  readonly #host: RouterHost;
  readonly #cluster: Cluster;
  readonly #head: RequestHead;
  readonly #timeoutMs: number;
  #writer: BodyWriter | undefined;
  #timer: Timer | undefined;
  #over = false;
  #waitingBytes = 0;
  #ready = true;

  constructor(host: RouterHost, cluster: Cluster, mirror: Mirror, timeoutMs: number) {
    this.#host = host;
    this.#cluster = cluster;
    this.#timeoutMs = timeoutMs;
    const { head } = host;
    const authority = mirror.appendShadowSuffix ? shadowAuthority(head.authority) : head.authority;
    this.#head = { ...head, authority, fields: head.fields.copy() };
  }

  open(endStream: boolean): void {
    const host = this.#host;
    const facts = {
      hash: undefined,
      downstream: host.downstream,
      downstreamProtocol: host.stream.protocol,
      tried: [],
      hostSelectionAttempts: 1,
      authority: this.#head.authority,
    };
    const picked = this.#cluster.pick(facts);
    if (picked.kind === "none") {
      this.#over = true;
      return;
    }
    this.#timer = host.clock.after(this.#timeoutMs, () => this.stop());
    const writer = this.#cluster.request(picked.endpoint, this.#head, endStream, this, facts);
    if (!this.#over) this.#writer = writer;
  }

  send(bytes: Buffer, start: number, end: number): void {
    const writer = this.#writer;
    if (writer === undefined) return;
    if (!this.#ready) this.#waitingBytes += end - start;
    if (this.#waitingBytes > maxWaitingBytes) {
      this.stop();
      return;
    }
    this.#ready = writer.body(bytes, start, end) && this.#ready;
  }

  sendEnd(trailers: Fields | undefined): void {
    this.#writer?.end(trailers);
  }

  stop(): void {
    if (this.#over) return;
    const writer = this.#writer;
    this.#finished();
    writer?.reset({ kind: "local", detail: "mirror given up" });
  }

  // UpstreamReceiver: answers are read past.

  connected(): void {
    this.#ready = true;
  }

  interim(): void {
    this.#waitingBytes = 0;
  }

  body(): boolean {
    return true;
  }

  end(): void {
    this.#finished();
  }

  head(_head: unknown, endStream: boolean): void {
    if (endStream) this.#finished();
  }

  unavailable(): void {
    this.#finished();
  }

  reset(): void {
    this.#finished();
  }

  writable(): void {
    this.#ready = true;
    this.#waitingBytes = 0;
  }

  #finished(): void {
    this.#over = true;
    this.#writer = undefined;
    this.#timer?.cancel();
  }
}

/** `host:port` becomes `host-shadow:port`. */
function shadowAuthority(authority: string): string {
  const colon = /:[0-9]+$/.exec(authority)?.index ?? authority.length;
  return `${authority.slice(0, colon)}-shadow${authority.slice(colon)}`;
}
