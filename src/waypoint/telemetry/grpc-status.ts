/** Whether a request was gRPC, and how it ended: as Envoy tells both. */
import { isGrpc as isGrpcType, grpcStatusOf as statusOfHttp } from "../exchange/grpc.ts";
import type { HttpRecord } from "./record.ts";

export function isGrpc({ request }: HttpRecord): boolean {
  return isGrpcType(request.fields);
}

/** From trailers or headers, else what the HTTP status means; undefined without an answer. */
export function grpcStatusOf({ grpcStatus, status }: HttpRecord): number | undefined {
  if (grpcStatus !== undefined) return /^\d{1,9}$/.test(grpcStatus) ? Number(grpcStatus) : -1;
  return status === 0 ? undefined : statusOfHttp(status);
}
