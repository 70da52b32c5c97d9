/** An answer of ours as head and body (Envoy's Utility::sendLocalReply). */
import type { Fields, LocalReply, ResponseHead } from "../http/message.ts";
import { encodeGrpcMessage, grpcStatusOf } from "./grpc.ts";

export interface ReadyReply {
  readonly head: ResponseHead;
  /** Undefined: the head is all. */
  readonly body: Buffer | undefined;
}

/** `fields`: what the head has already. */
export function readyReply(
  reply: LocalReply,
  fields: Fields,
  isGrpc: boolean,
  isHead: boolean,
): ReadyReply {
  for (const [name, value] of reply.fields ?? []) fields.append(name, value);
  if (isGrpc) return grpcReply(reply, fields, isHead);
  if (reply.body === "") return { head: { status: reply.status, fields }, body: undefined };
  const body = Buffer.from(reply.body, "utf8");
  fields.set("content-length", String(body.length));
  if (!fields.has("content-type")) fields.append("content-type", reply.contentType ?? "text/plain");
  return { head: { status: reply.status, fields }, body: isHead ? undefined : body };
}

function grpcReply(reply: LocalReply, fields: Fields, isHead: boolean): ReadyReply {
  fields.set("content-type", "application/grpc");
  fields.set("grpc-status", String(reply.grpcStatus ?? grpcStatusOf(reply.status)));
  if (reply.body !== "" && !isHead)
    fields.set("grpc-message", encodeGrpcMessage(latin1Of(reply.body)));
  return { head: { status: 200, fields }, body: undefined };
}

/** One character for each octet. */
function latin1Of(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
