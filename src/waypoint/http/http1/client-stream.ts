/** One request on a connection to an upstream. */
import type { Fields, RequestHead } from "../message.ts";
import type { BodyWriter, ResetReason } from "../stream.ts";
import { BodyFramer } from "./body-writer.ts";
import { chunked, type Framing, untilClose } from "./framing.ts";
import { type OutputOwner, writeText } from "./output.ts";
import type { RequestFacts } from "./response-head.ts";
import { requestText } from "./write-head.ts";

export interface ClientHost extends OutputOwner {
  readonly canTakeMore: boolean;
  cancelled(): void;
  tunnelWriteEnded(): void;
  receiverReady(): void;
  /** What waited for the tunnel is on its way. */
  tunnelReady(): void;
}

/** "offered": a tunnel was asked for; what is to go through it waits, because a refusal would leave it to be read as HTTP. */
type State = "open" | "offered" | "tunnel" | "ended" | "answered";

/** Without a body these are sent without Content-Length (RFC 9110 section 8.6). */
const bodiless: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "CONNECT", "TRACE"]);

export class Http1ClientStream implements BodyWriter, RequestFacts {
  readonly isHead: boolean;
  readonly isConnect: boolean;
  readonly upgrade: string | undefined;
  readonly #host: ClientHost;
  readonly #framer = new BodyFramer();
  #state: State = "open";
  #held: Buffer[] | undefined;
  #endWaits = false;

  constructor(host: ClientHost, head: RequestHead) {
    this.#host = host;
    this.isHead = head.method === "HEAD";
    this.isConnect = head.method === "CONNECT";
    this.upgrade = head.upgrade;
  }

  get ended(): boolean {
    return this.#state === "ended";
  }

  begin(head: RequestHead, endStream: boolean): void {
    const framing = this.#framingOf(head, endStream);
    this.#framer.begin(framing);
    writeText(this.#host, requestText(head, framing));
    if (framing === untilClose) this.#state = "offered";
    else if (endStream) this.#state = "ended";
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#state === "offered") {
      this.#held ??= [];
      this.#held.push(Buffer.from(bytes.subarray(start, end)));
      return false;
    }
    if (this.#state !== "open" && this.#state !== "tunnel") return true;
    if (!this.#framer.body(this.#host, bytes, start, end)) {
      this.#host.cancelled();
      return true;
    }
    return this.#host.canTakeMore;
  }

  end(trailers: Fields | undefined): void {
    if (this.#state === "offered") {
      this.#endWaits = true;
      return;
    }
    if (this.#state === "tunnel") {
      this.#state = "ended";
      this.#host.tunnelWriteEnded();
      return;
    }
    if (this.#state !== "open") return;
    this.#state = "ended";
    // Less than announced: the upstream must not wait for the rest, nor take the next request for it.
    if (!this.#framer.end(this.#host, trailers)) this.#host.cancelled();
  }

  reset(_reason: ResetReason): void {
    if (this.#state === "answered") return;
    this.#host.cancelled();
  }

  resume(): void {
    this.#host.receiverReady();
  }

  /** The answer was a yes: raw octets from here on. */
  tunnelOpened(): void {
    if (this.#state !== "offered") return;
    this.#state = "tunnel";
    const held = this.#held;
    this.#held = undefined;
    for (const bytes of held ?? []) this.#framer.body(this.#host, bytes, 0, bytes.length);
    if (this.#endWaits) this.end(undefined);
    else if (held !== undefined && this.#host.canTakeMore) this.#host.tunnelReady();
  }

  /** Nothing of what is written from here on matters. */
  answered(): void {
    this.#state = "answered";
    this.#held = undefined;
  }

  #framingOf(head: RequestHead, endStream: boolean): Framing {
    if (head.upgrade !== undefined || this.isConnect) return untilClose;
    const { fields } = head;
    const stated = fields.get("content-length");
    if (endStream) {
      if (bodiless.has(head.method)) {
        if (stated !== undefined && stated !== "0") fields.remove("content-length");
      } else if (stated !== "0") fields.set("content-length", "0");
      return 0;
    }
    if (stated !== undefined && /^[0-9]{1,15}$/.test(stated)) return Number(stated);
    return chunked;
  }
}
