/** Operators about requests and answers. */

import type { Fields } from "../../http/message.ts";
import { pseudoHeader } from "../cel/attributes.ts";
import { grpcStatusOf, isGrpc } from "../grpc-status.ts";
import type { HttpRecord, StreamRecord } from "../record.ts";
import type { Operator } from "./format.ts";
import {
  cut,
  headerNames,
  headerText,
  number,
  type OperatorMaker,
  type OperatorTable,
  text,
} from "./operator-kinds.ts";

type ReadHeader = (http: HttpRecord, name: string) => string | undefined;

/** Envoy keeps the path as it came in this header when the route rewrites it. */
const ORIGINAL_PATH = "x-envoy-original-path";

const ofRequest: ReadHeader = (http, name) => {
  if (name.startsWith(":")) return pseudoHeader(http, name);
  return name === "host" ? http.request.authority : http.request.fields.get(name);
};

const ofResponse: ReadHeader = ({ status, responseFields }, name) => {
  if (name === ":status") return status === 0 ? undefined : String(status);
  return responseFields?.get(name);
};

const ofTrailers: ReadHeader = ({ trailers }, name) => trailers?.get(name);

/** `(MAIN?ALTERNATIVE):length`. */
function header(read: ReadHeader, change?: (value: string) => string): OperatorMaker {
  return {
    argument: "required",
    length: true,
    make: (argument, maxLength): Operator => {
      const [main, alternative] = headerNames(argument);
      return {
        text: ({ http }) => {
          if (http === undefined) return undefined;
          const found =
            read(http, main) ?? (alternative === undefined ? undefined : read(http, alternative));
          const value = headerText(found);
          return cut(
            value === undefined || change === undefined ? value : change(value),
            maxLength,
          );
        },
      };
    },
  };
}

function withoutQuery(path: string): string {
  const query = path.indexOf("?");
  return query < 0 ? path : path.slice(0, query);
}

const CAMEL = [
  "OK",
  "Canceled",
  "Unknown",
  "InvalidArgument",
  "DeadlineExceeded",
  "NotFound",
  "AlreadyExists",
  "PermissionDenied",
  "ResourceExhausted",
  "FailedPrecondition",
  "Aborted",
  "OutOfRange",
  "Unimplemented",
  "Internal",
  "Unavailable",
  "DataLoss",
  "Unauthenticated",
];

/** CANCELLED is written with two Ls in this form only. */
function snake(status: number): string | undefined {
  if (status === 1) return "CANCELLED";
  return CAMEL[status]?.replaceAll(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

function statusOf({ http }: StreamRecord): number | undefined {
  if (http === undefined || !isGrpc(http)) return undefined;
  return grpcStatusOf(http);
}

function statusText(name: (status: number) => string | undefined): Operator {
  return {
    text: (record) => {
      const status = statusOf(record);
      return status === undefined ? undefined : (name(status) ?? String(status));
    },
  };
}

const grpcNumber = number(statusOf);

const grpcStatus: OperatorMaker = {
  argument: "optional",
  length: false,
  make: (form, maxLength, environment) => {
    if (form === "" || form === "CAMEL_STRING") return statusText((status) => CAMEL[status]);
    if (form === "SNAKE_STRING") return statusText(snake);
    if (form === "NUMBER") return grpcNumber.make("", maxLength, environment);
    throw new Error("the form is CAMEL_STRING, SNAKE_STRING or NUMBER");
  },
};

function fieldBytes(fields: Fields | undefined): number {
  let bytes = 0;
  for (const part of fields?.flat ?? []) bytes += part.length;
  return bytes;
}

/** `(WQ|NQ:ORIG|PATH|ORIG_OR_PATH):length` */
const path: OperatorMaker = {
  argument: "optional",
  length: true,
  make: (argument, maxLength): Operator => {
    const [query = "", which = ""] = argument.split(":");
    if (!["", "WQ", "NQ"].includes(query)) throw new Error("the query is WQ or NQ");
    if (!["", "ORIG", "PATH", "ORIG_OR_PATH"].includes(which))
      throw new Error("the path is ORIG, PATH or ORIG_OR_PATH");
    return {
      text: ({ http }) => {
        if (http === undefined) return undefined;
        const original = http.request.fields.get(ORIGINAL_PATH);
        const now = http.request.path || undefined;
        const chosen = which === "ORIG" ? original : which === "PATH" ? now : (original ?? now);
        const value = headerText(chosen);
        return cut(value !== undefined && query === "NQ" ? withoutQuery(value) : value, maxLength);
      },
    };
  },
};

/** Octets that are written as `%20`. */
function decoded(text: string): string | undefined {
  if (!text.includes("%")) return headerText(text);
  const octets = text.replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
    String.fromCharCode(Number.parseInt(hex, 16)),
  );
  return headerText(octets);
}

function parameterOf(path: string, name: string): string | undefined {
  const start = path.indexOf("?");
  if (start < 0) return undefined;
  const query = path.slice(start + 1).split("#", 1)[0] ?? "";
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (equals < 0 && pair === name) return "";
    if (equals >= 0 && pair.slice(0, equals) === name) return decoded(pair.slice(equals + 1));
  }
  return undefined;
}

const queryParameter: OperatorMaker = {
  argument: "required",
  length: true,
  make: (name, maxLength) => ({
    text: ({ http }) => http && cut(parameterOf(http.request.path, name), maxLength),
  }),
};

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export const httpOperators: OperatorTable = {
  REQ: header(ofRequest),
  REQ_WITHOUT_QUERY: header(ofRequest, withoutQuery),
  RESP: header(ofResponse),
  TRAILER: header(ofTrailers),
  RESPONSE_CODE: number(({ http }) => http?.status ?? 0),
  GRPC_STATUS: grpcStatus,
  GRPC_STATUS_NUMBER: grpcNumber,
  REQUEST_HEADERS_BYTES: number(({ http }) => fieldBytes(http?.request.fields)),
  RESPONSE_HEADERS_BYTES: number(({ http }) => fieldBytes(http?.responseFields)),
  RESPONSE_TRAILERS_BYTES: number(({ http }) => fieldBytes(http?.trailers)),
  PATH: path,
  QUERY_PARAM: queryParameter,
  STREAM_ID: text(({ http }) => {
    const id = http?.request.fields.get("x-request-id");
    return id !== undefined && UUID.test(id) ? id : undefined;
  }),
  TRACE_ID: text(({ http }) => http?.traceId),
  // Nothing is logged but finished streams.
  ACCESS_LOG_TYPE: text(({ kind }) => (kind === "http" ? "DownstreamEnd" : "TcpConnectionEnd")),
  LOCAL_REPLY_BODY: text(() => ""),
};
