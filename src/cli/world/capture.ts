/** Looks at a link from outside: the packets that pass, with the beginning of each payload. */
import { systemClock, type Timer } from "../../shared/base/clock.ts";
import { PacketSocket } from "./packet-socket.ts";
import { decodeFrame, type Packet } from "./packets.ts";

/** Enough for the headers and a payload that repeats what gives it away. */
const SNAP_BYTES = 512;
const LOOK_EVERY_MS = 5;
/** Bounds one look, so that a flood cannot hold the observer. */
const FRAMES_PER_LOOK = 5_000;
/** Bounds memory: older packets are forgotten. */
const KEPT_PACKETS = 60_000;

export class LinkCapture {
  readonly #socket: PacketSocket;
  readonly #timer: Timer;
  readonly #buffer = Buffer.allocUnsafe(SNAP_BYTES);
  #packets: Packet[] = [];
  /** How many were forgotten: the position of the first that is kept. */
  #forgotten = 0;

  constructor(interfaceName: string) {
    this.#socket = new PacketSocket(interfaceName);
    this.#timer = systemClock.every(LOOK_EVERY_MS, () => this.#look());
  }

  /** A point in time to look back to. */
  mark(): number {
    this.#look();
    return this.#forgotten + this.#packets.length;
  }

  /** The packets with payload since a mark. */
  since(mark: number): readonly Packet[] {
    this.#look();
    return this.#packets.slice(Math.max(0, mark - this.#forgotten));
  }

  close(): void {
    this.#timer.cancel();
    this.#socket.close();
  }

  #look(): void {
    for (let frames = 0; frames < FRAMES_PER_LOOK; frames++) {
      const length = this.#socket.read(this.#buffer);
      if (length === 0) break;
      const packet = decodeFrame(this.#buffer.subarray(0, length));
      if (packet !== undefined && packet.payloadLength > 0) this.#packets.push(packet);
    }
    if (this.#packets.length <= 2 * KEPT_PACKETS) return;
    const surplus = this.#packets.length - KEPT_PACKETS;
    this.#packets = this.#packets.slice(surplus);
    this.#forgotten += surplus;
  }
}
