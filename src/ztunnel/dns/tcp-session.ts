/**
 * One client's TCP connection (RFC 7766): queries may be pipelined and are answered as they are ready. Bounded in queries
 * under way and in bytes not yet taken; closed when nothing was asked for a while.
 */
import type { Socket } from "node:net";
import type { Clock, Timer } from "../../shared/base/clock.ts";
import { FrameReader, frame } from "./framing.ts";

/** wire/ztunnel.md section 7. */
const IDLE_MS = 5000;
const MAX_IN_FLIGHT = 32;
const MAX_UNSENT_BYTES = 256 * 1024;

export interface TcpSessionDeps {
  readonly clock: Pick<Clock, "after">;
  readonly handle: (packet: Uint8Array) => Promise<Uint8Array | undefined>;
}

export class TcpSession {
  readonly #socket: Socket;
  readonly #deps: TcpSessionDeps;
  readonly #reader = new FrameReader();
  /** Queries of the last chunk that wait for a place; nothing is read meanwhile, so a chunk is all it can hold. */
  readonly #backlog: Uint8Array[] = [];
  #inFlight = 0;
  #idle: Timer | undefined;
  /** Ended: no more queries are taken, but there may be some to answer. */
  #state: "open" | "ended" | "closed" = "open";

  /** Takes over a paused socket. */
  constructor(socket: Socket, deps: TcpSessionDeps, onClosed: () => void) {
    this.#socket = socket;
    this.#deps = deps;
    socket.on("data", (chunk: Uint8Array) => {
      if (this.#state !== "open") return;
      this.#backlog.push(...this.#reader.push(chunk));
      this.#work();
    });
    socket.on("end", () => this.finish());
    socket.on("drain", () => this.#work());
    // Reported by `close` as well; there is nobody to tell but the client, who is gone.
    socket.on("error", () => this.close());
    socket.on("close", () => {
      this.close();
      onClosed();
    });
    this.#armIdle();
    socket.resume();
  }

  /** Whether queries wait for answers. */
  get busy(): boolean {
    return this.#inFlight > 0 || this.#backlog.length > 0;
  }

  /** Takes no more queries, answers those under way, then closes. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#work();
  }

  /** Cuts the connection. Idempotent. */
  close(): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#idle?.cancel();
    this.#backlog.length = 0;
    this.#socket.destroy();
  }

  /** Starts what may start, then reads on, waits, or ends. */
  #work(): void {
    if (this.#state === "closed") return;
    while (this.#inFlight < MAX_IN_FLIGHT && this.#socket.writableLength < MAX_UNSENT_BYTES) {
      const packet = this.#backlog.shift();
      if (packet === undefined) break;
      this.#start(packet);
    }
    if (this.#inFlight > 0) this.#idle?.cancel();
    if (this.#backlog.length > 0) {
      this.#socket.pause();
    } else if (this.#state === "open") {
      this.#socket.resume();
    } else if (this.#inFlight === 0) {
      this.#socket.end();
    }
  }

  #start(packet: Uint8Array): void {
    this.#inFlight++;
    const done = (response: Uint8Array | undefined): void => {
      this.#inFlight--;
      if (this.#state === "closed") return;
      if (response === undefined) {
        // A stream in which something is not a message at all cannot be trusted any further.
        this.close();
        return;
      }
      this.#socket.write(frame(response));
      if (this.#inFlight === 0) this.#armIdle();
      this.#work();
    };
    this.#deps.handle(packet).then(done, () => done(undefined));
  }

  /**
   * Runs whenever it is the client's turn: to ask, or to take its answers. Only whole queries count as activity, so a
   * trickle of bytes does not hold the connection.
   */
  #armIdle(): void {
    this.#idle?.cancel();
    this.#idle = this.#deps.clock.after(IDLE_MS, () => this.close());
  }
}
