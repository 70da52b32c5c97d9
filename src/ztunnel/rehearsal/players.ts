/** The applications of a rehearsal: one asks, the other answers, in messages of fixed sizes. */
import { connect, type Socket } from "node:net";
import type { Port, PortClose, PortListener } from "../../shared/hbone/flow/port.ts";

/** What a question consists of says what it wants. */
const wants = { answer: 0x61, muchBack: 0x62, nothing: 0x63 } as const;

const questionBytes = 64;
const answerBytes = 1_200;
const question = Buffer.alloc(questionBytes, wants.answer);
const questionForMuch = Buffer.alloc(questionBytes, wants.muchBack);
const answer = Buffer.alloc(answerBytes);
/** Divisible by both sizes. */
const bulk = Buffer.alloc(questionBytes * answerBytes, wants.nothing);
/** More than both windows of a session can hold, so that they are opened again. */
const bulkPieces = 160;

/** The far end of a connection: counts the messages that come, and sends what it is told to. */
class Player implements Port, PortListener {
  readonly roomBytes = Number.POSITIVE_INFINITY;
  readonly unsentBytes = 0;
  readonly givenBytes = 0;
  /** Settles when the connection has closed, however it did. */
  readonly closed: Promise<void>;
  readonly #connection: Port;
  readonly #messageBytes: number;
  readonly #onMessages: (player: Player, count: number, lastOctet: number) => void;
  #bytes = 0;
  #piecesLeft = 0;
  #settle: (() => void) | undefined;

  constructor(
    connection: Port,
    messageBytes: number,
    onMessages: (player: Player, count: number, lastOctet: number) => void,
  ) {
    this.#connection = connection;
    this.#messageBytes = messageBytes;
    this.#onMessages = onMessages;
    this.closed = new Promise((resolve) => {
      this.#settle = resolve;
    });
    connection.attach(this, this);
  }

  say(bytes: Buffer): void {
    this.#connection.takeUntouched(bytes, 0, bytes.length);
  }

  sayMuch(): void {
    this.#piecesLeft = bulkPieces;
    this.resume();
  }

  get busy(): boolean {
    return this.#piecesLeft > 0;
  }

  leave(): void {
    this.#connection.finish();
  }

  portClosed(_port: Port, _close: PortClose): void {
    this.#settle?.();
  }

  // Port

  attach(): void {
    // Only what is attached to a connection attaches.
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    this.#bytes += end - start;
    const count = Math.floor(this.#bytes / this.#messageBytes);
    this.#bytes -= count * this.#messageBytes;
    if (count > 0) this.#onMessages(this, count, bytes[end - 1] ?? 0);
    return true;
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.take(bytes, start, end);
  }

  takeLast(bytes: Buffer, start: number, end: number): boolean {
    this.take(bytes, start, end);
    this.finish();
    return true;
  }

  finish(): void {
    this.#connection.finish();
  }

  resume(): void {
    while (this.#piecesLeft > 0) {
      this.#piecesLeft--;
      if (!this.#connection.takeUntouched(bulk, 0, bulk.length)) return;
    }
  }

  settle(): void {
    this.#connection.settle();
  }

  abort(): void {
    this.#connection.abort();
  }
}

/** Answers until the other side ends. */
export function serve(connection: Port): void {
  new Player(connection, questionBytes, (player, _count, wanted) => {
    if (wanted === wants.answer) player.say(answer);
    else if (wanted === wants.muchBack) player.sayMuch();
  });
}

/** Asks again and again while `more` says so, then ends. */
export function converse(connection: Port, more: () => boolean): Promise<void> {
  const ask = (player: Player): void => {
    if (more()) player.say(question);
    else player.leave();
  };
  const asking = new Player(connection, answerBytes, ask);
  ask(asking);
  return asking.closed;
}

/** Has much sent, and sends as much back. */
export function haul(connection: Port): Promise<void> {
  let awaited = (bulkPieces * bulk.length) / answerBytes;
  const hauling = new Player(connection, answerBytes, (player, count) => {
    awaited -= count;
    if (awaited > 0) return;
    player.sayMuch();
    player.leave();
  });
  hauling.say(questionForMuch);
  return hauling.closed;
}

/**
 * A connection as other parts of the program open them (to the control plane, for metrics): the same functions of Node serve
 * it, and what was compiled without ever having met its kind would be thrown away at the first one.
 */
export function askPlainly(keep: (socket: Socket) => void, port: number): Promise<void> {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  keep(socket);
  return new Promise((resolve) => {
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve());
    socket.on("connect", () => socket.write(question));
    socket.on("data", () => socket.end());
  });
}
