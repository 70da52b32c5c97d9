/**
 * The messages between node agent and ztunnel as plain data (wire/ztunnel.md section 3): one protobuf message a packet,
 * no length prefix, at most 1024 bytes on either side.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { describeError } from "../base/errors.ts";
import {
  Version,
  WorkloadRequestSchema,
  WorkloadResponseSchema,
  ZdsHelloSchema,
} from "../wire/gen/istio/workload/zds/zds_pb.js";

/** Both sides read into buffers of this size; a larger message arrives truncated. */
export const ZDS_MESSAGE_MAX_BYTES = 1024;

export interface WorkloadInfo {
  readonly name: string;
  readonly namespace: string;
  readonly serviceAccount: string;
}

/** From the node agent. `uid` is the Kubernetes pod UID. */
export type ZdsRequest =
  /** Carries the pod's network namespace as the packet's only descriptor. */
  | { readonly kind: "add"; readonly uid: string; readonly info: WorkloadInfo | undefined }
  /** The pod is known, but its namespace is not at hand: leave it as it is. Only in a snapshot. */
  | { readonly kind: "keep"; readonly uid: string }
  | { readonly kind: "delete"; readonly uid: string }
  /** All pods have been named: whatever was not is gone. */
  | { readonly kind: "snapshot-sent" };

/** From the ztunnel: one for each request, in order. Undefined means success. */
export interface ZdsAnswer {
  readonly error: string | undefined;
}

export type Reading<T> =
  | { readonly kind: "message"; readonly message: T }
  | { readonly kind: "error"; readonly reason: string };

/** What of a received packet decides about its validity. */
export interface ReceivedMessage {
  readonly bytes: Uint8Array;
  readonly fdCount: number;
  readonly truncated: boolean;
}

export function encodeHello(): Uint8Array {
  return toBinary(ZdsHelloSchema, create(ZdsHelloSchema, { version: Version.V1 }));
}

/** Any other version than V1 is refused: what follows could mean something else. */
export function readHello(packet: ReceivedMessage): Reading<"v1"> {
  return reading(packet, () => {
    const { version } = fromBinary(ZdsHelloSchema, packet.bytes);
    if (version !== Version.V1) throw new Error(`unknown protocol version ${version}`);
    if (packet.fdCount > 0) throw new Error("unexpected control message");
    return "v1";
  });
}

/** Throws RangeError when the message is larger than the other side can read. */
export function encodeRequest(request: ZdsRequest): Uint8Array {
  return bounded(toBinary(WorkloadRequestSchema, requestMessage(request)));
}

function requestMessage(request: ZdsRequest) {
  switch (request.kind) {
    case "add": {
      const { uid, info } = request;
      const value = info === undefined ? { uid } : { uid, workloadInfo: { ...info } };
      return create(WorkloadRequestSchema, { payload: { case: "add", value } });
    }
    case "keep":
      return create(WorkloadRequestSchema, {
        payload: { case: "keep", value: { uid: request.uid } },
      });
    case "delete":
      return create(WorkloadRequestSchema, {
        payload: { case: "del", value: { uid: request.uid } },
      });
    case "snapshot-sent":
      return create(WorkloadRequestSchema, { payload: { case: "snapshotSent", value: {} } });
  }
}

/** Texts of the descriptor rules are the reference's. A missing workload_info is not decided here: it is readable. */
export function readRequest(packet: ReceivedMessage): Reading<ZdsRequest> {
  return reading(packet, () => {
    const request = decodeRequest(packet.bytes);
    if (packet.fdCount > 1) throw new Error("Too many control messages");
    if (request.kind === "add" && packet.fdCount === 0) throw new Error("No control message");
    if (request.kind !== "add" && packet.fdCount > 0) throw new Error("Unexpected control message");
    return request;
  });
}

function decodeRequest(bytes: Uint8Array): ZdsRequest {
  const { payload } = fromBinary(WorkloadRequestSchema, bytes);
  switch (payload.case) {
    case "add": {
      const { uid, workloadInfo } = payload.value;
      if (workloadInfo === undefined) return { kind: "add", uid, info: undefined };
      const { name, namespace, serviceAccount } = workloadInfo;
      return { kind: "add", uid, info: { name, namespace, serviceAccount } };
    }
    case "del":
      return { kind: "delete", uid: payload.value.uid };
    case "keep":
      return { kind: "keep", uid: payload.value.uid };
    case "snapshotSent":
      return { kind: "snapshot-sent" };
    case undefined:
      throw new Error("request without a payload");
  }
}

export function encodeAnswer(answer: ZdsAnswer): Uint8Array {
  // An error text may quote anything; a cut text is better than an answer that cannot be read.
  const error = shortened(answer.error ?? "", ZDS_MESSAGE_MAX_BYTES - 16);
  return bounded(
    toBinary(
      WorkloadResponseSchema,
      create(WorkloadResponseSchema, { payload: { case: "ack", value: { error } } }),
    ),
  );
}

export function readAnswer(packet: ReceivedMessage): Reading<ZdsAnswer> {
  return reading(packet, () => {
    const { payload } = fromBinary(WorkloadResponseSchema, packet.bytes);
    if (payload.case === undefined) throw new Error("response without a payload");
    if (packet.fdCount > 0) throw new Error("unexpected control message");
    return { error: payload.value.error === "" ? undefined : payload.value.error };
  });
}

function reading<T>(packet: ReceivedMessage, read: () => T): Reading<T> {
  if (packet.truncated)
    return { kind: "error", reason: `message larger than ${ZDS_MESSAGE_MAX_BYTES} bytes` };
  try {
    return { kind: "message", message: read() };
  } catch (thrown) {
    return { kind: "error", reason: describeError(thrown) };
  }
}

function bounded(bytes: Uint8Array): Uint8Array {
  if (bytes.length > ZDS_MESSAGE_MAX_BYTES)
    throw new RangeError(
      `ZDS message of ${bytes.length} bytes; at most ${ZDS_MESSAGE_MAX_BYTES} can be read`,
    );
  return bytes;
}

/** Cuts at a character boundary, so that the result is valid UTF-8 of at most `maxBytes`. */
function shortened(text: string, maxBytes: number): string {
  const bytes = new TextEncoder().encode(text);
  let end = Math.min(bytes.length, maxBytes);
  while (end < bytes.length && end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(bytes.subarray(0, end));
}
