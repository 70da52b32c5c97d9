/** Whether a request is gRPC, and how it ended: as Envoy tells both. */
import type { HttpRecord } from "./record.ts";

const GRPC = /^application\/grpc(?:$|\+)/;

export function isGrpc({ request }: HttpRecord): boolean {
  const type = request.fields.get("content-type");
  return type !== undefined && GRPC.test(type);
}

const BY_HTTP_STATUS: ReadonlyMap<number, number> = new Map([
  [400, 13],
  [401, 16],
  [403, 7],
  [404, 12],
  [429, 14],
  [502, 14],
  [503, 14],
  [504, 14],
]);

const UNKNOWN = 2;

/** From trailers or headers, else what the HTTP status means; undefined without an answer. */
export function grpcStatusOf({ grpcStatus, status }: HttpRecord): number | undefined {
  if (grpcStatus !== undefined) return /^\d{1,9}$/.test(grpcStatus) ? Number(grpcStatus) : -1;
  return status === 0 ? undefined : (BY_HTTP_STATUS.get(status) ?? UNKNOWN);
}
