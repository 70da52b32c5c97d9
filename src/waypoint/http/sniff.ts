/**
 * Looks at the first octets of a connection in order to say what it speaks, and gives them back to whoever takes the
 * connection over. Only where the configuration says so: on any other port a server may speak first.
 */
import type { Clock, Timer } from "../../shared/base/clock.ts";
import type { Port, PortListener } from "../../shared/hbone/flow/port.ts";
import type { ReadBefore } from "../../shared/hbone/flow.ts";
import { clientPreface, frameHeaderBytes } from "../../shared/hbone/http2/frames.ts";
import { HttpLooker, type HttpVersion, startsLikePreface } from "./sniff-http.ts";
import { type ClientHello, lookForTls } from "./sniff-tls.ts";
import type { Opening } from "./transport.ts";

export interface SniffPlan {
  /** Look for HTTP (the HTTP inspector). */
  readonly http: boolean;
  /** Look for a ClientHello (the TLS inspector), after HTTP was ruled out. */
  readonly tls: boolean;
  /** 0: wait for ever. */
  readonly timeoutMs: number;
  /** What a client that says too little gets: the waypoint's listener closes it, as Envoy does by default. */
  readonly onTimeout: "close" | "continue";
}

/** Envoy's default of listener_filters_timeout, which the reference leaves as it is for main_internal. */
export const defaultSniffTimeoutMs = 15_000;

export type Sniffed =
  | {
      readonly kind: "looked";
      /** Undefined: not HTTP. */
      readonly http: HttpVersion | undefined;
      /** Undefined: not TLS, or not looked for. */
      readonly tls: ClientHello | undefined;
      readonly opening: Opening;
    }
  /** The connection is closed: by the client, by the deadline, or because the first line never ended. */
  | { readonly kind: "closed"; readonly why: "client" | "timeout" | "too-long" };

/** What the octets so far say; undefined: more are needed. */
type Looker = (bytes: Buffer) => Look | "too-long" | undefined;
type Look = { readonly http: HttpVersion | undefined; readonly tls: ClientHello | undefined };

/** Envoy's limits: a request line, a ClientHello. */
const maxHttpBytes = 64 * 1024;
const maxHelloBytes = 16 * 1024;
const firstBlockBytes = 1024;

/** Never rejects. Somebody may have sniffed before; on "closed" there is nothing left to use. */
export function sniffProtocol(opening: Opening, plan: SniffPlan, clock: Clock): Promise<Sniffed> {
  return new Promise((resolve) => {
    const http = plan.http ? new HttpLooker() : undefined;
    const look: Looker = (bytes) => lookAsPlanned(http, plan.tls, bytes);
    new Sniffer(opening, look, plan, clock, resolve).start();
  });
}

export type CodecChoice =
  | { readonly kind: "http1" | "http2"; readonly opening: Opening }
  | { readonly kind: "closed" };

const prefacePlan: SniffPlan = { http: true, tls: false, timeoutMs: 0, onTimeout: "close" };

/**
 * Which codec a chain with codec "auto" needs: HTTP/2 if the connection begins with its preface. Resolves with the first
 * octets; who has sniffed already knows it from `http`.
 */
export async function sniffCodec(opening: Opening, clock: Clock): Promise<CodecChoice> {
  const sniffed = await new Promise<Sniffed>((resolve) => {
    new Sniffer(opening, lookForPreface, prefacePlan, clock, resolve).start();
  });
  if (sniffed.kind === "closed") return { kind: "closed" };
  return { kind: sniffed.http === "h2c" ? "http2" : "http1", opening: sniffed.opening };
}

function lookForPreface(bytes: Buffer): Look | undefined {
  const { length } = bytes;
  if (!startsLikePreface(bytes, frameHeaderBytes, length))
    return { http: "http/1.1", tls: undefined };
  const isWhole = length - frameHeaderBytes >= clientPreface.length;
  return isWhole ? { http: "h2c", tls: undefined } : undefined;
}

function lookAsPlanned(
  looker: HttpLooker | undefined,
  forTls: boolean,
  bytes: Buffer,
): Look | "too-long" | undefined {
  const length = bytes.length - frameHeaderBytes;
  const http = looker?.look(bytes, frameHeaderBytes, bytes.length) ?? "other";
  if (http === "more") return length >= maxHttpBytes ? "too-long" : undefined;
  if (http !== "other") return { http, tls: undefined };
  if (!forTls) return { http: undefined, tls: undefined };
  const tls = lookForTls(bytes, frameHeaderBytes, bytes.length);
  if (tls === "more") return length >= maxHelloBytes ? "too-long" : undefined;
  return { http: undefined, tls: tls === "other" ? undefined : tls };
}

/** Stands in for the connection's peer until the first octets have decided. */
class Sniffer implements Port, PortListener {
  readonly givenBytes = 0;
  readonly roomBytes = maxHelloBytes;
  readonly unsentBytes = 0;
  readonly #port: Port;
  readonly #before: ReadBefore | undefined;
  readonly #look: Looker;
  readonly #plan: SniffPlan;
  readonly #clock: Clock;
  #resolve: ((sniffed: Sniffed) => void) | undefined;
  #timer: Timer | undefined;
  /** Room for a frame header in front, for whoever sends it on; then what came. */
  #block = Buffer.allocUnsafe(firstBlockBytes);
  #fill = frameHeaderBytes;
  #ended = false;

  constructor(
    opening: Opening,
    look: Looker,
    plan: SniffPlan,
    clock: Clock,
    resolve: (sniffed: Sniffed) => void,
  ) {
    this.#port = opening.port;
    this.#before = opening.readBefore;
    this.#look = look;
    this.#plan = plan;
    this.#clock = clock;
    this.#resolve = resolve;
  }

  start(): void {
    const { timeoutMs } = this.#plan;
    if (timeoutMs > 0) this.#timer = this.#clock.after(timeoutMs, () => this.#timedOut());
    const before = this.#before;
    const wantsMore =
      before === undefined || this.take(before.bytes, frameHeaderBytes, before.bytes.length);
    this.#port.attach(this, this);
    // Who sniffed before has paused the port.
    if (before !== undefined && wantsMore) this.#port.resume();
    if (before?.ended) this.finish();
  }

  attach(): void {
    throw new TypeError("Cannot join a sniffer to a flow");
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    if (start === end) return this.#resolve !== undefined;
    this.#keep(bytes, start, end);
    // After the decision more may come before the next owner attaches: kept, not looked at.
    if (this.#resolve === undefined) return false;
    const look = this.#look(this.#block.subarray(0, this.#fill));
    if (look === undefined) return true;
    if (look === "too-long") this.#close("too-long");
    else this.#looked(look);
    return false;
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.take(bytes, start, end);
  }

  takeLast(bytes: Buffer, start: number, end: number): boolean {
    const taken = this.takeUntouched(bytes, start, end);
    this.finish();
    return taken;
  }

  /** The client half-closed: Envoy closes a connection that ends while it is looked at. */
  finish(): void {
    this.#ended = true;
    this.#close("client");
  }

  resume(): void {
    // Nothing was written.
  }

  settle(): void {
    this.#close("client");
  }

  abort(): void {
    this.#close("client");
  }

  portClosed(): void {
    this.#settle({ kind: "closed", why: "client" });
  }

  #keep(bytes: Buffer, start: number, end: number): void {
    const wanted = this.#fill + end - start;
    if (wanted > this.#block.length) {
      const larger = Buffer.allocUnsafe(wanted * 2);
      this.#block.copy(larger, 0, 0, this.#fill);
      this.#block = larger;
    }
    bytes.copy(this.#block, this.#fill, start, end);
    this.#fill = wanted;
  }

  #timedOut(): void {
    if (this.#plan.onTimeout === "close") this.#close("timeout");
    else this.#looked({ http: undefined, tls: undefined });
  }

  #looked(look: Look): void {
    const sniffer = this;
    const opening: Opening = {
      port: this.#port,
      readBefore: {
        // Read late: the port may give or end more before it is taken over.
        get bytes() {
          return sniffer.#block.subarray(0, sniffer.#fill);
        },
        get ended() {
          return sniffer.#ended;
        },
      },
    };
    this.#settle({ kind: "looked", ...look, opening });
  }

  #close(why: "client" | "timeout" | "too-long"): void {
    if (this.#resolve === undefined) return;
    this.#settle({ kind: "closed", why });
    this.#port.finish();
    this.#port.settle();
  }

  #settle(sniffed: Sniffed): void {
    this.#timer?.cancel();
    const resolve = this.#resolve;
    this.#resolve = undefined;
    resolve?.(sniffed);
  }
}
