/** TLS straight on a TCP connection: no stream between the records and the kernel. */
import { nextTick } from "node:process";
import { EPOLLERR, EPOLLHUP, EPOLLOUT } from "../os/constants.ts";
import { type ReadyListener, threadEpoll } from "../os/epoll.ts";
import type { TcpConnection } from "../os/tcp-connection.ts";
import type { BufferReader } from "../os/user-buffer.ts";
import type { ChannelEvents, RevocablePeer, SecureChannel } from "./channel.ts";
import { fullRecordBytes } from "./records.ts";
import { type TlsSession, tlsEnd, tlsFailed, tlsWantsRead, tlsWantsWrite } from "./session.ts";

/** Read in one turn; other connections have theirs. */
const turnBytes = 256 * 1024;
const sendable = EPOLLOUT | EPOLLERR | EPOLLHUP;

/** "ending": our end is on its way, the peer's may still come. */
type State = "open" | "ending" | "closed";

export class ConnectionChannel implements SecureChannel, RevocablePeer, ReadyListener {
  readonly isDirect = true;
  readonly #connection: TcpConnection;
  readonly #session: TlsSession;
  #reader: BufferReader | undefined;
  #events: ChannelEvents | undefined;
  #state: State = "open";
  /**
   * Plaintext that could not be sent yet. OpenSSL holds the first record of it encrypted, and wants it again. Empty: only
   * records are left.
   */
  #unsent: Buffer | undefined;
  #error: Error | undefined;
  #onClosed: (() => void)[] = [];

  /** Owns both from here on; their handshake is done. */
  constructor(connection: TcpConnection, session: TlsSession) {
    this.#connection = connection;
    this.#session = session;
  }

  get destroyed(): boolean {
    return this.#state === "closed";
  }

  peerChain(): readonly Buffer[] {
    return this.#state === "closed" ? [] : this.#session.peerChain();
  }

  onClosed(listener: () => void): void {
    this.#onClosed.push(listener);
  }

  listen(events: ChannelEvents): void {
    this.#events = events;
    if (this.#state === "closed") nextTick(tellClosed, this);
  }

  read(reader: BufferReader): void {
    if (this.#state === "closed") return;
    this.#reader = reader;
    this.#connection.watchLevel(this, this.#unsent !== undefined);
    // Of what came with the handshake the kernel does not tell.
    if (this.#session.hasPending) threadEpoll().callAgain(this);
  }

  write(bytes: Buffer): boolean {
    if (this.#state === "closed") return true;
    // A system call for each record would make a packet of each.
    if (bytes.length > fullRecordBytes) this.#session.joinRecords();
    for (let at = 0; at < bytes.length; ) {
      const count = this.#session.write(at === 0 ? bytes : bytes.subarray(at));
      if (count > 0) at += count;
      else return this.#putOff(count, bytes, at);
    }
    const flushed = this.#session.flush();
    return flushed === 1 || this.#putOff(flushed, bytes, bytes.length);
  }

  /** Always false. */
  #putOff(outcome: number, bytes: Buffer, at: number): false {
    if (outcome === tlsWantsWrite || outcome === tlsWantsRead) {
      this.#unsent = at === bytes.length ? empty : Buffer.from(bytes.subarray(at));
      this.#connection.watchLevel(this, true);
    } else {
      this.#fail();
    }
    return false;
  }

  end(last: Buffer): void {
    if (this.#state !== "open") return;
    this.#state = "ending";
    if (this.write(last)) this.#sendEnd();
  }

  destroy(error?: Error): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    this.#unsent = undefined;
    this.#error = error;
    this.#session.free();
    this.#connection.close();
    nextTick(tellClosed, this);
  }

  // ReadyListener

  ready(events: number): void {
    if (this.#unsent !== undefined && (events & sendable) !== 0) this.#sendUnsent();
    if (this.#state !== "closed") this.#read();
  }

  #read(): void {
    const reader = this.#reader;
    if (reader === undefined) return;
    for (let left = turnBytes; left > 0; ) {
      const count = this.#session.read(reader.nextBuffer());
      if (count <= 0) {
        this.#readNothing(count);
        return;
      }
      left -= count;
      reader.onRead(count);
      if (this.destroyed || (count < fullRecordBytes && !this.#session.hasPending)) return;
    }
    if (this.#session.hasPending) threadEpoll().callAgain(this);
  }

  #readNothing(outcome: number): void {
    if (outcome === tlsEnd) {
      this.#events?.channelEnded();
      this.destroy();
    } else if (outcome === tlsFailed) {
      this.#fail();
    }
  }

  #sendUnsent(): void {
    const bytes = this.#unsent ?? empty;
    this.#unsent = undefined;
    // What is still left is kept again.
    if (!this.write(bytes)) return;
    this.#connection.watchLevel(this, false);
    if (this.#state === "ending") this.#sendEnd();
    else this.#events?.channelWritten();
  }

  #sendEnd(): void {
    this.#session.shutdown();
    this.#connection.finish();
  }

  #fail(): void {
    this.destroy(new Error(this.#session.failure));
  }

  /** Only for the tick that `destroy` asks for: whoever calls it is in the midst of something. */
  tellClosed(): void {
    const events = this.#events;
    // Asked for twice where somebody listens in the very tick in which the channel closes.
    this.#events = undefined;
    if (this.#error !== undefined) events?.channelFailed(this.#error);
    events?.channelClosed();
    const listeners = this.#onClosed;
    this.#onClosed = [];
    for (const listener of listeners) listener();
  }
}

function tellClosed(channel: ConnectionChannel): void {
  channel.tellClosed();
}

const empty = Buffer.alloc(0);
