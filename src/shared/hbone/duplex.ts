/** A tunnel as an ordinary stream, for TLS inside a tunnel (double HBONE). */
import { Duplex } from "node:stream";
import { MeshError } from "../base/errors.ts";
import type { Port, PortClose, PortListener } from "./flow/port.ts";
import { errorCode } from "./http2/errors.ts";
import { Http2Tunnel } from "./session/http2-tunnel.ts";
import type { TunnelStream } from "./tunnel.ts";

/** Reads and writes the tunnel from here on; destroying the stream before both ends resets it. */
export function tunnelAsDuplex(stream: TunnelStream): Duplex {
  if (!(stream instanceof Http2Tunnel)) throw new TypeError("Cannot wrap: not a tunnel of ours");
  const end = new DuplexEnd(stream);
  stream.attach(end, end);
  return end.duplex;
}

/** The tunnel's peer: what it gives is pushed into the stream, what is written to the stream it takes. */
class DuplexEnd implements Port, PortListener {
  readonly givenBytes = 0;
  readonly roomBytes = Number.POSITIVE_INFINITY;
  readonly unsentBytes = 0;
  readonly duplex: Duplex;
  #written: (() => void) | undefined;

  constructor(tunnel: Http2Tunnel) {
    this.duplex = new Duplex({
      allowHalfOpen: true,
      read: () => tunnel.resume(),
      write: (chunk: Buffer, _encoding, done) => {
        if (tunnel.takeUntouched(chunk, 0, chunk.length)) done();
        else this.#written = done;
      },
      final: (done) => {
        tunnel.finish();
        done();
      },
      destroy: (error, done) => {
        tunnel.reset(errorCode.cancel);
        done(error);
      },
    });
  }

  attach(): void {
    throw new TypeError("Cannot join a stream to a flow");
  }

  take(bytes: Buffer, start: number, end: number): boolean {
    return this.duplex.push(Buffer.from(bytes.subarray(start, end)));
  }

  takeUntouched(bytes: Buffer, start: number, end: number): boolean {
    return this.take(bytes, start, end);
  }

  takeLast(bytes: Buffer, start: number, end: number): boolean {
    const taken = this.take(bytes, start, end);
    this.finish();
    return taken;
  }

  finish(): void {
    this.duplex.push(null);
  }

  resume(): void {
    const written = this.#written;
    this.#written = undefined;
    written?.();
  }

  settle(): void {
    this.duplex.end();
  }

  abort(): void {
    this.duplex.destroy();
  }

  portClosed(_port: Port, close: PortClose): void {
    if (close.kind === "clean") return;
    this.duplex.destroy(
      close.kind === "failed" ? close.error : new MeshError("h2-failed", "tunnel was reset"),
    );
  }
}
