/**
 * The two ends of a flow as each sees the other. A port gives what it reads to its peer with `take` and stops when that
 * says so; the peer calls `resume` when it has room again. Nothing here allocates per call.
 */
import type { MeshError } from "../../base/errors.ts";
import type { Slab } from "../session/slab.ts";

/** How an end of a flow closed. */
export type PortClose =
  /** Everything that came was handed on, and nothing more will. */
  | { readonly kind: "clean" }
  /** The far side broke off: the other end must see a break too, but nothing here failed (wire/ztunnel.md section 4.6). */
  | { readonly kind: "reset"; readonly http2ErrorCode?: number }
  | { readonly kind: "failed"; readonly error: MeshError };

export interface PortListener {
  /** Called once. */
  portClosed(port: Port, close: PortClose): void;
}

export interface Port {
  /** Octets handed to the peer so far. */
  readonly givenBytes: number;
  /** How much can be taken at once without being held back. A hint for the size of the next read. */
  readonly roomBytes: number;
  /** Taken, but not yet handed to the layer below. */
  readonly unsentBytes: number;
  /**
   * Joins the port to its peer and starts to read. May be called again to hand the port to another peer: the first one gets
   * nothing more, and a pause it asked for lasts until `resume`.
   */
  attach(peer: Port, listener: PortListener): void;
  /**
   * Takes all of [start, end). With a slab the memory stays as it is while the slab is retained. Without, it may change
   * after the return, and the nine octets before `start` are the taker's to write to. False: no more until the taker has
   * called `resume` on its peer; should more come all the same, it is taken.
   */
  take(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean;
  /** Takes octets that must stay as they are; they are free again after the return. False as from `take`. */
  takeUntouched(bytes: Buffer, start: number, end: number): boolean;
  /** `take` and `finish` in one, so that the end can travel with the last octets. */
  takeLast(bytes: Buffer, start: number, end: number, slab: Slab | undefined): boolean;
  /** Nothing more will be taken: half-close. */
  finish(): void;
  /** The peer has room again. */
  resume(): void;
  /** The peer has closed cleanly: send what is still held, then close. */
  settle(): void;
  /** Close at once and let the far side see that the flow broke. */
  abort(): void;
}
