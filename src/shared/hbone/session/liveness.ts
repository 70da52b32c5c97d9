/** PINGs that find a dead peer: the first after an interval, the next an interval after each answer (wire/ztunnel.md section 4.6). */
import type { Clock, Timer } from "../../base/clock.ts";
import { pingBytes, putUint32, uint32At } from "../http2/frames.ts";
import type { HboneSettings } from "../tunnel.ts";
import type { FrameWriter } from "./frame-writer.ts";

export interface LivenessEvents {
  /** The peer has answered. */
  alive(): void;
  /** The peer did not answer in time. */
  dead(): void;
}

export type PingTimes = Pick<HboneSettings, "pingIntervalMs" | "pingTimeoutMs">;

/** What tells our liveness PINGs from others of ours. */
const mark = 0x616d6269;

export class Liveness {
  readonly #clock: Clock;
  readonly #settings: PingTimes;
  readonly #write: FrameWriter;
  readonly #events: LivenessEvents;
  /** Until the next PING, or until the deadline of the one under way. */
  #timer: Timer;
  #sequence = 0;
  #stopped = false;

  constructor(clock: Clock, settings: PingTimes, write: FrameWriter, events: LivenessEvents) {
    this.#clock = clock;
    this.#settings = settings;
    this.#write = write;
    this.#events = events;
    this.#timer = this.#scheduled();
  }

  /** An acknowledged PING came; others' payloads are ignored. */
  pong(bytes: Uint8Array, start: number): void {
    if (
      this.#stopped ||
      uint32At(bytes, start) !== mark ||
      uint32At(bytes, start + 4) !== this.#sequence
    )
      return;
    this.#sequence++;
    this.#timer.cancel();
    this.#timer = this.#scheduled();
    this.#events.alive();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer.cancel();
  }

  #scheduled(): Timer {
    return this.#clock.after(this.#settings.pingIntervalMs, () => {
      this.#timer = this.#clock.after(this.#settings.pingTimeoutMs, () => this.#events.dead());
      const payload = new Uint8Array(pingBytes);
      putUint32(payload, putUint32(payload, 0, mark), this.#sequence);
      this.#write.ping(false, payload);
    });
  }
}
