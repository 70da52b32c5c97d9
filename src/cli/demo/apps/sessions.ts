/** Connections of an application that stay open between two calls of the demo. */
import { connect, type Socket } from "node:net";
import { systemClock } from "../../../shared/base/clock.ts";
import { CLEAR_TEXT_MARK, type SessionEnd, type Target } from "./protocol.ts";

const ANSWER_TIMEOUT_MS = 5_000;

/** Reads a socket line by line. */
class LineSession {
  readonly socket: Socket;
  #pending = "";
  readonly #lines: string[] = [];
  #waiting: ((line: string) => void) | undefined;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding("utf8").on("data", (text) => {
      const lines = (this.#pending + String(text)).split("\n");
      this.#pending = lines.pop() ?? "";
      for (const line of lines) this.#take(line);
    });
  }

  /** The next line; rejects when the connection ends or stays silent. */
  nextLine(): Promise<string> {
    const line = this.#lines.shift();
    if (line !== undefined) return Promise.resolve(line);
    return new Promise((resolve, reject) => {
      const timeout = systemClock.after(ANSWER_TIMEOUT_MS, () =>
        reject(new Error("no answer in time")),
      );
      this.socket.once("close", () => reject(new Error("the connection was closed")));
      this.#waiting = (found) => {
        timeout.cancel();
        resolve(found);
      };
    });
  }

  #take(line: string): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting === undefined) this.#lines.push(line);
    else waiting(line);
  }
}

export class Sessions {
  readonly #open = new Map<string, LineSession>();
  readonly #onEnd: (end: SessionEnd) => void;

  /** `onEnd` hears of sessions that were ended by somebody else. */
  constructor(onEnd: (end: SessionEnd) => void) {
    this.#onEnd = onEnd;
  }

  async open(name: string, target: Target): Promise<{ greeting: string; localPort: number }> {
    const session = new LineSession(this.#connect(name, target));
    this.#open.set(name, session);
    const greeting = await session.nextLine();
    return { greeting, localPort: session.socket.localPort ?? 0 };
  }

  async ask(name: string, question: string): Promise<{ answer: string }> {
    const session = this.#open.get(name);
    if (session === undefined) throw new Error(`no open session "${name}"`);
    session.socket.write(`${CLEAR_TEXT_MARK} ${question}\n`);
    return { answer: await session.nextLine() };
  }

  close(name: string): null {
    const session = this.#open.get(name);
    this.#open.delete(name);
    session?.socket.destroy();
    return null;
  }

  /** Writes until the peer takes nothing more for `quietMs`, or `maxBytes` are gone. */
  async flood(
    name: string,
    target: Target,
    quietMs: number,
    maxBytes: number,
  ): Promise<{ bytes: number; blocked: boolean }> {
    const socket = this.#connect(name, target);
    this.#open.set(name, new LineSession(socket));
    const block = Buffer.alloc(64 * 1024, `${CLEAR_TEXT_MARK} flood\n`);
    let blocked = false;
    while (socket.bytesWritten < maxBytes && !blocked)
      if (!socket.write(block)) blocked = !(await this.#drains(socket, quietMs));
    return { bytes: socket.bytesWritten - socket.writableLength, blocked };
  }

  async #drains(socket: Socket, quietMs: number): Promise<boolean> {
    let settle: ((drained: boolean) => void) | undefined;
    const outcome = new Promise<boolean>((resolve) => {
      settle = resolve;
    });
    const onDrain = (): void => settle?.(true);
    socket.once("drain", onDrain);
    const timeout = systemClock.after(quietMs, () => settle?.(false));
    const drained = await outcome;
    timeout.cancel();
    socket.off("drain", onDrain);
    return drained;
  }

  #connect(name: string, target: Target): Socket {
    const socket = connect({ ...target, noDelay: true });
    let reason = "closed by the other side";
    socket.on("error", (error) => {
      reason = error.message;
    });
    socket.once("close", () => {
      if (!this.#open.delete(name)) return;
      this.#onEnd({ session: name, reason });
    });
    return socket;
  }
}
