/** The SOCKS5 handshake on a socket: reads exactly its messages and leaves everything behind them unread. */
import type { Socket } from "node:net";
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import {
  MAX_SOCKS_MESSAGE,
  methodAnswer,
  readGreeting,
  readRequest,
  type SocksMessage,
  type SocksTarget,
} from "./socks5-protocol.ts";

/** A client is an application on the same pod; one that takes longer has forgotten about it. */
const TIMEOUT_MS = 10_000;

/** The client asked for something that it does not get; `answer` says so in its own language. */
export class SocksRefusal extends MeshError {
  readonly answer: Uint8Array;

  constructor(reason: string, answer: Uint8Array) {
    super("bad-connect", reason);
    this.answer = answer;
  }
}

/**
 * Reads the greeting, answers it, reads the request. Resolves with the socket paused and the request not answered; rejects
 * with a SocksRefusal, or with the signal's reason.
 */
export async function shakeHands(
  socket: Socket,
  clock: Clock,
  signal: AbortSignal,
): Promise<{ readonly target: SocksTarget }> {
  const reader = new MessageReader(socket);
  const deadline = clock.after(TIMEOUT_MS, () =>
    reader.fail(new MeshError("bad-connect", "socks5: the client did not finish its handshake")),
  );
  const onAbort = (): void => reader.fail(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    await reader.next(readGreeting);
    socket.write(methodAnswer);
    return { target: await reader.next(readRequest) };
  } finally {
    deadline.cancel();
    signal.removeEventListener("abort", onAbort);
    reader.detach();
  }
}

/** Messages of a paused socket, one at a time. */
class MessageReader {
  readonly #socket: Socket;
  #bytes: Buffer = Buffer.alloc(0);
  #step: () => void = () => undefined;
  #reject: (reason: unknown) => void = () => undefined;
  #failure: { readonly reason: unknown } | undefined;
  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    this.#step();
  };
  readonly #onGone = (): void =>
    this.fail(new MeshError("bad-connect", "socks5: the client left during its handshake"));

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", this.#onData);
    socket.on("end", this.#onGone);
    socket.on("close", this.#onGone);
  }

  next<T>(read: (bytes: Uint8Array) => SocksMessage<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) {
        reject(this.#failure.reason);
        return;
      }
      this.#reject = reject;
      this.#step = () => {
        const message = read(this.#bytes);
        if (message.kind === "more") {
          // No message is that long, so a reader that wants more has a defect; never buffer without end.
          if (this.#bytes.length > MAX_SOCKS_MESSAGE) reject(new RangeError("socks5: too long"));
          else this.#socket.resume();
          return;
        }
        this.#socket.pause();
        this.#step = () => undefined;
        if (message.kind === "refused") {
          reject(new SocksRefusal(message.reason, message.answer));
          return;
        }
        this.#bytes = this.#bytes.subarray(message.length);
        resolve(message.value);
      };
      this.#step();
    });
  }

  fail(reason: unknown): void {
    this.#failure ??= { reason };
    this.#reject(reason);
  }

  /** Gives back what was read too much. */
  detach(): void {
    const socket = this.#socket;
    socket.pause();
    socket.off("data", this.#onData);
    socket.off("end", this.#onGone);
    socket.off("close", this.#onGone);
    if (this.#bytes.length > 0 && !socket.destroyed && !socket.readableEnded)
      socket.unshift(this.#bytes);
    this.#bytes = Buffer.alloc(0);
  }
}
