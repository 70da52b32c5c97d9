/** TLS as Node does it, on any stream: for tunnels inside tunnels, and sockets of Node's own. */
import { nextTick } from "node:process";
import type { TLSSocket } from "node:tls";
import { TlsWriter } from "../os/tls-writer.ts";
import { type BufferReader, startReading } from "../os/user-buffer.ts";
import type { ChannelEvents, RevocablePeer, SecureChannel } from "./channel.ts";

class StreamChannel implements SecureChannel {
  readonly isDirect = false;
  readonly #socket: TLSSocket;
  #writer: TlsWriter | undefined;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
  }

  get destroyed(): boolean {
    return this.#socket.destroyed;
  }

  listen(events: ChannelEvents): void {
    const socket = this.#socket;
    this.#writer = new TlsWriter(socket, () => events.channelWritten());
    // Its 'close' was emitted before we came.
    if (socket.closed) nextTick(() => events.channelClosed());
    socket.once("close", () => events.channelClosed());
    socket.on("error", (error) => events.channelFailed(error));
    socket.on("end", () => events.channelEnded());
    if (!socket.destroyed) socket.setNoDelay(true);
  }

  read(reader: BufferReader): void {
    if (!this.#socket.destroyed) startReading(this.#socket, reader);
  }

  /** Node encrypts a single buffer before the return, but finishes the write later, at most one each turn. */
  write(bytes: Buffer): boolean {
    this.#writer?.write(bytes);
    return false;
  }

  end(last: Buffer): void {
    this.#socket.end(last);
  }

  destroy(error?: Error): void {
    this.#socket.destroy(error);
  }
}

export function revocablePeer(socket: TLSSocket): RevocablePeer {
  return {
    peerChain: () => chainOf(socket),
    onClosed: (listener) => socket.once("close", listener),
    destroy: (error) => socket.destroy(error),
  };
}

function chainOf(socket: TLSSocket): readonly Buffer[] {
  const chain: Buffer[] = [];
  let current = socket.getPeerCertificate(true);
  // A self-signed root is its own issuer.
  while (current?.raw !== undefined && !chain.some((der) => der.equals(current.raw))) {
    chain.push(current.raw);
    current = current.issuerCertificate;
  }
  return chain;
}

/** Whatever TLS connection this is, as a channel. */
export function channelOf(tls: TLSSocket | SecureChannel): SecureChannel {
  return "isDirect" in tls ? tls : new StreamChannel(tls);
}
