/** Failed system calls as errors with a name and a text, from a bare errno. */
import { getSystemErrorMap } from "node:util";
import { type ErrorCode, MeshError } from "../base/errors.ts";

export class SystemCallError extends Error {
  override readonly name = "SystemCallError";
  /** Name of the call, as in the manual. */
  readonly call: string;
  /** Positive number. */
  readonly errno: number;
  /** `EADDRINUSE` and the like. */
  readonly code: string;

  constructor(call: string, errno: number) {
    super(errnoText(errno));
    this.call = call;
    this.errno = errno;
    this.code = errnoName(errno);
  }
}

/** `EADDRINUSE`; `errno 999` for a number nobody knows. */
export function errnoName(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[0] ?? `errno ${errno}`;
}

/** `address already in use`. */
export function errnoText(errno: number): string {
  return getSystemErrorMap().get(-errno)?.[1] ?? `errno ${errno}`;
}

/** What a person should read about a failed call: the text of the errno alone where there is one. */
export function systemReason(thrown: unknown): string {
  if (thrown instanceof SystemCallError) return thrown.message;
  if (thrown instanceof Error && "errno" in thrown && typeof thrown.errno === "number")
    return errnoText(Math.abs(thrown.errno));
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** `listen 15001 in /run/netns/x: address already in use`, with the failure as its cause. */
export function systemFailure(code: ErrorCode, what: string, thrown: unknown): MeshError {
  return new MeshError(code, `${what}: ${systemReason(thrown)}`, { cause: thrown });
}
