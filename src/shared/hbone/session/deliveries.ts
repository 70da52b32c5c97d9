/**
 * Payload on its way from the session's memory to the tunnels: handed on at the end of a short record, when the block is
 * full, or at the end of the turn, so that what lies side by side leaves in one write.
 */

import { atTurnEnd, type TurnWork } from "../../base/turn.ts";
import type { Http2Tunnel } from "./http2-tunnel.ts";
import type { Slab } from "./slab.ts";

export class Deliveries implements TurnWork {
  /** The block that is being parsed. */
  slab: Slab | undefined;
  #unflushed: Http2Tunnel[] = [];
  /** Whose payload lies last in the block. */
  #last: Http2Tunnel | undefined;
  #asked = false;

  payload(tunnel: Http2Tunnel, start: number, end: number): void {
    if (this.slab === undefined) return;
    const joins = this.#last === tunnel;
    this.#last = tunnel;
    if (tunnel.deliver(this.slab, start, end, joins)) this.#unflushed.push(tunnel);
  }

  flush(): void {
    if (this.#unflushed.length === 0) return;
    const list = this.#unflushed;
    this.#unflushed = [];
    this.#last = undefined;
    for (const tunnel of list) tunnel.flush();
  }

  flushLater(): void {
    if (this.#asked || this.#unflushed.length === 0) return;
    this.#asked = true;
    atTurnEnd(this);
  }

  atTurnEnd(): void {
    this.#asked = false;
    this.flush();
  }
}
