/** An authorization server that speaks HTTP. */
import {
  type HeaderValue,
  HeaderValueSchema,
} from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  AuthorizationRequestSchema,
  type AuthorizationResponse,
  AuthorizationResponseSchema,
  type HttpService,
  HttpServiceSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import type { AuthzService, HttpAnswerRules } from "../../filters/ext-authz/config.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { compileList } from "./ext-authz-list.ts";
import { compileHttpUri } from "./services.ts";

/** Without a time of its own the reference gives the server this long. */
const DEFAULT_TIMEOUT_MS = 200;

export function compileHttpService(
  message: HttpService,
  path: Path,
  notes: Notes,
): Extract<AuthzService, { readonly kind: "http" }> {
  checkFields(message, HttpServiceSchema, path, notes, {
    used: ["server_uri", "path_prefix", "authorization_request", "authorization_response"],
  });
  const { authorizationRequest, pathPrefix } = message;
  const requestPath = at(path, "authorization_request");
  if (authorizationRequest !== undefined)
    checkFields(authorizationRequest, AuthorizationRequestSchema, requestPath, notes, {
      used: ["allowed_headers", "headers_to_add"],
    });
  if (pathPrefix !== "" && !pathPrefix.startsWith("/"))
    throw new CompileError(at(path, "path_prefix"), "does not start with a slash");
  const { cluster, timeoutMs } = compileHttpUri(message.serverUri, at(path, "server_uri"), notes);
  return {
    kind: "http",
    cluster,
    timeoutMs: timeoutMs === 0 ? DEFAULT_TIMEOUT_MS : timeoutMs,
    pathPrefix,
    headersToAdd: (authorizationRequest?.headersToAdd ?? []).map((header, index) =>
      compileHeader(header, item(requestPath, "headers_to_add", index), notes),
    ),
    answer: compileAnswer(message.authorizationResponse, at(path, "authorization_response"), notes),
  };
}

/** Values with operators would need the request's formats, which nothing that istiod sends has here. */
function compileHeader(
  header: HeaderValue,
  path: Path,
  notes: Notes,
): readonly [name: string, value: string] {
  checkFields(header, HeaderValueSchema, path, notes, { used: ["key", "value"] });
  if (/%[^%]/.test(header.value.replaceAll("%%", "")))
    throw new CompileError(at(path, "value"), "has an operator, which is not supported here");
  return [header.key.toLowerCase(), header.value.replaceAll("%%", "%")];
}

function compileAnswer(
  message: AuthorizationResponse | undefined,
  path: Path,
  notes: Notes,
): HttpAnswerRules {
  if (message !== undefined)
    checkFields(message, AuthorizationResponseSchema, path, notes, {
      used: [
        "allowed_upstream_headers",
        "allowed_upstream_headers_to_append",
        "allowed_client_headers",
        "allowed_client_headers_on_success",
        "dynamic_metadata_from_headers",
      ],
    });
  const client = message?.allowedClientHeaders;
  return {
    toUpstream: compileList(
      message?.allowedUpstreamHeaders,
      at(path, "allowed_upstream_headers"),
      notes,
    ),
    toUpstreamAppend: compileList(
      message?.allowedUpstreamHeadersToAppend,
      at(path, "allowed_upstream_headers_to_append"),
      notes,
    ),
    // An empty list says as little as none.
    toClient:
      client === undefined || client.patterns.length === 0
        ? undefined
        : compileList(client, at(path, "allowed_client_headers"), notes),
    toClientOnSuccess: compileList(
      message?.allowedClientHeadersOnSuccess,
      at(path, "allowed_client_headers_on_success"),
      notes,
    ),
    toMetadata: compileList(
      message?.dynamicMetadataFromHeaders,
      at(path, "dynamic_metadata_from_headers"),
      notes,
    ),
  };
}
