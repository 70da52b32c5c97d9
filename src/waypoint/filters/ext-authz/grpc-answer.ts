/** The answer of a gRPC server: envoy.service.auth.v3.CheckResponse. */
import { fromBinary, type JsonObject } from "@bufbuild/protobuf";
import { describeError } from "../../../shared/base/errors.ts";
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption,
} from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  type CheckResponse,
  CheckResponseSchema,
  type OkHttpResponse,
} from "../../../shared/wire/gen/envoy/service/auth/v3/external_auth_pb.js";
import type { UnaryOutcome } from "../upstream-calls.ts";
import {
  type AuthzAnswer,
  type HeaderPair,
  type MetadataStruct,
  noChanges,
  type RequestChanges,
} from "./answer.ts";

const FORBIDDEN = 403;

export function grpcAnswer(outcome: UnaryOutcome): AuthzAnswer {
  switch (outcome.kind) {
    case "failed":
      return { kind: "error", reason: `${outcome.reason}: ${outcome.detail}` };
    case "status":
      return { kind: "error", reason: `gRPC status ${outcome.status}: ${outcome.message}` };
    case "message":
      try {
        return read(fromBinary(CheckResponseSchema, outcome.message));
      } catch (error) {
        return { kind: "error", reason: `the answer does not decode: ${describeError(error)}` };
      }
  }
}

function read(response: CheckResponse): AuthzAnswer {
  const { httpResponse } = response;
  // No status is status OK, as protobuf says.
  if ((response.status?.code ?? 0) === 0) {
    const ok = httpResponse.case === "okResponse" ? httpResponse.value : undefined;
    const metadata = struct(response.dynamicMetadata ?? ok?.dynamicMetadata);
    return {
      kind: "ok",
      changes: ok === undefined ? { ...noChanges, metadata } : changesOf(ok, metadata),
    };
  }
  const denied = httpResponse.case === "deniedResponse" ? httpResponse.value : undefined;
  const status = denied?.status?.code ?? 0;
  return {
    kind: "denied",
    status: status === 0 ? FORBIDDEN : status,
    body: denied?.body ?? "",
    headers: (denied?.headers ?? []).map(pair),
    metadata: struct(response.dynamicMetadata),
  };
}

function changesOf(ok: OkHttpResponse, metadata: MetadataStruct | undefined): RequestChanges {
  const of = (kind: Put) => ok.headers.filter((option) => putOf(option) === kind).map(pair);
  const responseOf = (append: boolean) =>
    ok.responseHeadersToAdd.filter((option) => (putOf(option) === "append") === append).map(pair);
  return {
    set: of("set"),
    addIfAbsent: of("add-if-absent"),
    overwriteIfPresent: of("overwrite-if-present"),
    add: [],
    append: of("append"),
    remove: ok.headersToRemove.map((name) => name.toLowerCase()),
    querySet: ok.queryParametersToSet.map(({ key, value }) => [key, value]),
    queryRemove: ok.queryParametersToRemove,
    responseAdd: responseOf(true),
    responseSet: responseOf(false),
    metadata,
  };
}

type Put = "set" | "append" | "add-if-absent" | "overwrite-if-present";

/** `append` is the older of the two, and unset it means false here, unlike everywhere else. */
function putOf({ append, appendAction }: HeaderValueOption): Put {
  if (append !== undefined) return append ? "append" : "set";
  if (appendAction === Append.ADD_IF_ABSENT) return "add-if-absent";
  return appendAction === Append.OVERWRITE_IF_EXISTS ? "overwrite-if-present" : "set";
}

function pair({ header }: HeaderValueOption): HeaderPair {
  const raw = header?.rawValue ?? new Uint8Array();
  const value = raw.length > 0 ? Buffer.from(raw).toString("latin1") : (header?.value ?? "");
  return [(header?.key ?? "").toLowerCase(), value];
}

function struct(value: JsonObject | undefined): MetadataStruct | undefined {
  return value === undefined ? undefined : (value as MetadataStruct);
}
