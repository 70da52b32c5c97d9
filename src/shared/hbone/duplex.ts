/** A tunnel as an ordinary stream, for TLS inside a tunnel (double HBONE). */
import type { Duplex } from "node:stream";
import { MeshError } from "../base/errors.ts";
import type { TunnelStream } from "./tunnel.ts";

export function tunnelAsDuplex(_stream: TunnelStream): Duplex {
  throw new MeshError("io-failed", "not there yet");
}
