/** The question to a gRPC server: envoy.service.auth.v3.CheckRequest. */
import { create, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { MetadataSchema } from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  type AttributeContext_HttpRequest,
  AttributeContext_HttpRequestSchema,
} from "../../../shared/wire/gen/envoy/service/auth/v3/attribute_context_pb.js";
import { CheckRequestSchema } from "../../../shared/wire/gen/envoy/service/auth/v3/external_auth_pb.js";
import type { DownstreamInfo } from "../../http/stream.ts";
import type { ConnectionContext, RequestContext } from "../filter.ts";
import type { ExtAuthzConfig } from "./config.ts";
import { shownHeaders } from "./shown-headers.ts";

export interface SeenBody {
  readonly bytes: Buffer;
  readonly partial: boolean;
}

export function httpCheck(
  config: ExtAuthzConfig,
  context: RequestContext,
  body: SeenBody | undefined,
): Uint8Array {
  const { downstream, head, clock } = context;
  const request = create(CheckRequestSchema, {
    attributes: {
      source: {
        ...peer(downstream.source, downstream.peerPrincipal),
        service: head.fields.get("x-envoy-downstream-service-cluster") ?? "",
      },
      destination: peer(downstream.destination, downstream.localPrincipal),
      request: {
        time: timestampFromMs(Math.floor(clock.wallMs())),
        http: httpRequest(config, context, body),
      },
      metadataContext: metadataOf(config, context),
      ...(config.includeTlsSession
        ? { tlsSession: { sni: downstream.requestedServerName ?? "" } }
        : {}),
    },
  });
  return toBinary(CheckRequestSchema, request);
}

export function connectionCheck(
  { downstream }: ConnectionContext,
  includeTlsSession: boolean,
): Uint8Array {
  const request = create(CheckRequestSchema, {
    attributes: {
      source: peer(downstream.source, downstream.peerPrincipal),
      destination: peer(downstream.destination, downstream.localPrincipal),
      ...(includeTlsSession ? { tlsSession: { sni: downstream.requestedServerName ?? "" } } : {}),
    },
  });
  return toBinary(CheckRequestSchema, request);
}

function peer({ ip, port }: DownstreamInfo["source"], principal: string | undefined) {
  return {
    principal: principal ?? "",
    address: {
      address: {
        case: "socketAddress" as const,
        value: { address: ip, portSpecifier: { case: "portValue" as const, value: port } },
      },
    },
  };
}

function httpRequest(
  config: ExtAuthzConfig,
  context: RequestContext,
  body: SeenBody | undefined,
): AttributeContext_HttpRequest {
  const { head } = context;
  const headers = shownHeaders(config, head);
  if (body !== undefined) headers.set("x-envoy-auth-partial-body", String(body.partial));
  return create(AttributeContext_HttpRequestSchema, {
    id: String(context.downstream.connectionId),
    method: head.method,
    headers: Object.fromEntries(headers),
    path: head.path,
    host: head.authority,
    scheme: head.scheme,
    size: sizeOf(context, body),
    protocol: context.protocol,
    ...(body === undefined
      ? {}
      : config.body?.asBytes
        ? { rawBody: body.bytes }
        : { body: body.bytes.toString("utf8") }),
  });
}

/** What has arrived, as far as that is known: nothing when the server sees no body. */
function sizeOf({ head }: RequestContext, body: SeenBody | undefined): bigint {
  if (body === undefined) return 0n;
  const length = head.fields.get("content-length");
  return length !== undefined && /^\d{1,15}$/.test(length)
    ? BigInt(length)
    : BigInt(body.bytes.length);
}

function metadataOf(config: ExtAuthzConfig, context: RequestContext) {
  const filterMetadata: { [namespace: string]: JsonObject } = {};
  for (const namespace of config.metadataNamespaces) {
    const values = context.metadata.get(namespace);
    if (values !== undefined) filterMetadata[namespace] = values as JsonObject;
  }
  return create(MetadataSchema, { filterMetadata });
}
