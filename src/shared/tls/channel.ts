/** An encrypted connection after its handshake, as HTTP/2 sees it, whatever carries it. */
import type { BufferReader } from "../os/user-buffer.ts";

export interface ChannelEvents {
  /** What `write` has put off is on its way. */
  channelWritten(): void;
  /** `channelClosed` follows. */
  channelFailed(error: Error): void;
  /** The peer sends nothing more. */
  channelEnded(): void;
  /** Once; nothing follows. The reader's memory is its own again. */
  channelClosed(): void;
}

export interface SecureChannel {
  /** Each write is a record and a system call within the call, so what comes up in one turn had better be joined first. */
  readonly isDirect: boolean;
  readonly destroyed: boolean;
  /** Tells of everything from now on; comes before all else. A channel that has closed before tells so in a later tick. */
  listen(events: ChannelEvents): void;
  read(reader: BufferReader): void;
  /**
   * Takes all of it; the memory is free again after the return. False: not all of it is on its way, and nothing more may be
   * written before `channelWritten`.
   */
  write(bytes: Buffer): boolean;
  /** Sends this, then the end. Only when no write is under way. */
  end(last: Buffer): void;
  /** Closes at once; with an error `channelFailed` tells it. Idempotent. */
  destroy(error?: Error): void;
}

/** A peer whose certificate may be revoked while it is connected. */
export interface RevocablePeer {
  /** DER, leaf first, each certificate followed by its issuer, as they were verified. */
  peerChain(): readonly Buffer[];
  onClosed(listener: () => void): void;
  destroy(error: Error): void;
}
