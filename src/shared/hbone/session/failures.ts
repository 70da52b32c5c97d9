/** The two ways in which a session ends by mistake, as errors: what our side reports, and what the peer is told. */
import { MeshError } from "../../base/errors.ts";
import { ConnectionError, errorCode } from "../http2/errors.ts";

/** Every tunnel of the session ends with this. */
export function broken(why: string): MeshError {
  return new MeshError("h2-failed", `HTTP/2 session broke: ${why}`);
}

/** RFC 9113 section 5.1: nothing but HEADERS opens a stream. */
export function idle(frame: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, `${frame} on an idle stream`);
}
