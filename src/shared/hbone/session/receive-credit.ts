/**
 * Our windows. What arrives is taken off at once; what is delivered is given back, in portions of half a window so that
 * updates stay rare. The session's window follows delivery as the streams' windows do: it bounds the memory of a session.
 */
import { ConnectionError, errorCode } from "../http2/errors.ts";
import { defaultWindowBytes } from "../http2/frames.ts";
import type { HboneSettings } from "../tunnel.ts";
import type { FrameWriter } from "./frame-writer.ts";

/** What a stream keeps for its receive window. */
export interface CreditedStream {
  readonly id: number;
  readonly remoteEnded: boolean;
  /** What we let the peer send. */
  receiveWindowBytes: number;
  /** Delivered, but not yet given back to the peer. */
  uncreditedBytes: number;
}

export class ReceiveCredit {
  readonly #write: FrameWriter;
  readonly #sessionPortionBytes: number;
  readonly #streamPortionBytes: number;
  #sessionWindowBytes: number;
  #sessionUncreditedBytes = 0;

  constructor(
    settings: Pick<HboneSettings, "connectionWindowBytes" | "streamWindowBytes">,
    write: FrameWriter,
  ) {
    this.#write = write;
    this.#sessionWindowBytes = Math.max(settings.connectionWindowBytes, defaultWindowBytes);
    this.#sessionPortionBytes = Math.ceil(this.#sessionWindowBytes / 2);
    this.#streamPortionBytes = Math.ceil(settings.streamWindowBytes / 2);
  }

  /** What waits here for slow readers leaves the peer next to nothing to send. */
  get exhausted(): boolean {
    return this.#sessionWindowBytes + this.#sessionUncreditedBytes < this.#sessionPortionBytes / 4;
  }

  /** A DATA frame of this size begins. */
  receivedBySession(bytes: number): void {
    this.#sessionWindowBytes -= bytes;
    if (this.#sessionWindowBytes < 0)
      throw new ConnectionError(errorCode.flowControlError, "more DATA than the session window");
  }

  /** Delivered or dropped. A tunnel that is over needs no window; the session always gets its share back. */
  give(tunnel: CreditedStream | undefined, bytes: number): void {
    this.#sessionUncreditedBytes += bytes;
    if (this.#sessionUncreditedBytes >= this.#sessionPortionBytes) {
      this.#write.windowUpdate(0, this.#sessionUncreditedBytes);
      this.#sessionWindowBytes += this.#sessionUncreditedBytes;
      this.#sessionUncreditedBytes = 0;
    }
    if (tunnel === undefined || tunnel.remoteEnded) return;
    tunnel.uncreditedBytes += bytes;
    if (tunnel.uncreditedBytes < this.#streamPortionBytes) return;
    this.#write.windowUpdate(tunnel.id, tunnel.uncreditedBytes);
    tunnel.receiveWindowBytes += tunnel.uncreditedBytes;
    tunnel.uncreditedBytes = 0;
  }
}
