/** The two ways in which a session ends by mistake, as errors: what our side reports, and what the peer is told. */
import { describeError, MeshError } from "../../base/errors.ts";
import { ConnectionError, errorCode } from "../http2/errors.ts";

/** Every tunnel of the session ends with this. */
export function broken(why: string): MeshError {
  return new MeshError("h2-failed", `HTTP/2 session broke: ${why}`);
}

/** The same for an error of the layer below. One of ours (a revoked peer) keeps its code. */
export function brokenBy(error: Error): MeshError {
  return error instanceof MeshError ? error : broken(describeError(error));
}

/** RFC 9113 section 5.1: nothing but HEADERS opens a stream. */
export function idle(frame: string): ConnectionError {
  return new ConnectionError(errorCode.protocolError, `${frame} on an idle stream`);
}
