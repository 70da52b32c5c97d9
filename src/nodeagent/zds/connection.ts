/**
 * One connected ztunnel: requests one after the other, each answered before the next. Whatever the ztunnel says unasked is a
 * violation and ends the connection, as do missed deadlines.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { describeError, MeshError } from "../../shared/base/errors.ts";
import { closeDescriptor } from "../../shared/os/libc.ts";
import type { Packet } from "../../shared/os/message.ts";
import type { SeqpacketSocket } from "../../shared/os/seqpacket.ts";
import {
  encodeRequest,
  type ReceivedMessage,
  readAnswer,
  readHello,
  ZDS_MESSAGE_MAX_BYTES,
  type ZdsAnswer,
  type ZdsRequest,
} from "../../shared/zds/messages.ts";

/** For the greeting, for writing a request, and again for its answer. */
const DEADLINE_MS = 5000;

interface PendingAnswer {
  readonly resolve: (answer: ZdsAnswer) => void;
  readonly reject: (error: Error) => void;
}

export class ZdsConnection {
  readonly #socket: SeqpacketSocket;
  readonly #clock: Clock;
  #queue: Promise<unknown> = Promise.resolve();
  #pending: PendingAnswer | undefined;
  #markClosed: ((reason: string) => void) | undefined;
  /** Settles with the reason once the connection has ended. Never rejects. */
  readonly closed: Promise<string>;

  private constructor(socket: SeqpacketSocket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    this.closed = new Promise((resolve) => {
      this.#markClosed = resolve;
    });
  }

  /** Waits for the greeting. Rejects, with the socket closed, when it does not come or is not ours. */
  static async greet(socket: SeqpacketSocket, clock: Clock): Promise<ZdsConnection> {
    const deadline = clock.after(DEADLINE_MS, () => socket.close());
    try {
      const packet = await socket.receive(ZDS_MESSAGE_MAX_BYTES);
      if (packet === "end") throw new Error("closed before the greeting");
      const reading = readHello(received(packet));
      if (reading.kind === "error") throw new Error(`bad greeting: ${reading.reason}`);
    } catch (thrown) {
      socket.close();
      throw thrown;
    } finally {
      deadline.cancel();
    }
    const connection = new ZdsConnection(socket, clock);
    void connection.#read();
    return connection;
  }

  /** Rejects with MeshError when the connection is or becomes unusable before the answer. */
  request(request: ZdsRequest, fds: readonly number[] = []): Promise<ZdsAnswer> {
    const result = this.#queue.then(() => this.#exchange(request, fds));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  close(reason: string): void {
    if (!this.#socket.isOpen) return;
    this.#socket.close();
    this.#pending?.reject(new MeshError("io-failed", `ztunnel connection: ${reason}`));
    this.#pending = undefined;
    this.#markClosed?.(reason);
  }

  async #exchange(request: ZdsRequest, fds: readonly number[]): Promise<ZdsAnswer> {
    if (!this.#socket.isOpen) throw new MeshError("io-failed", "ztunnel connection: closed");
    const bytes = encodeRequest(request);
    const answer = new Promise<ZdsAnswer>((resolve, reject) => {
      this.#pending = { resolve, reject };
    });
    // Both deadlines end the connection, which rejects the answer.
    const writing = this.#clock.after(DEADLINE_MS, () => this.close("request not taken in time"));
    const sending = this.#socket.send(bytes, fds).then(
      () => writing.cancel(),
      (thrown: unknown) => {
        writing.cancel();
        this.close(describeError(thrown));
      },
    );
    await Promise.race([sending, answer]);
    const reading = this.#clock.after(DEADLINE_MS, () => this.close("no answer in time"));
    try {
      return await answer;
    } finally {
      reading.cancel();
    }
  }

  async #read(): Promise<void> {
    try {
      for (;;) {
        const packet = await this.#socket.receive(ZDS_MESSAGE_MAX_BYTES);
        if (packet === "end") throw new Error("closed by the ztunnel");
        this.#take(packet);
      }
    } catch (thrown) {
      this.close(describeError(thrown));
    }
  }

  #take(packet: Packet): void {
    const message = received(packet);
    const { bytes } = message;
    const pending = this.#pending;
    if (pending === undefined) throw new Error(`unasked message of ${bytes.length} bytes`);
    const reading = readAnswer(message);
    if (reading.kind === "error") throw new Error(`bad answer: ${reading.reason}`);
    this.#pending = undefined;
    pending.resolve(reading.message);
  }
}

/** A ztunnel has no business passing descriptors: they are closed, and their number is for the reader to judge. */
function received(packet: Packet): ReceivedMessage {
  for (const fd of packet.fds) closeDescriptor(fd);
  return { bytes: packet.bytes, truncated: packet.truncated, fdCount: packet.fds.length };
}
