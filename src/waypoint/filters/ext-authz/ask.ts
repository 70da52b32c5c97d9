/** The call to the server. */
import type { RequestContext } from "../filter.ts";
import type { UpstreamCalls } from "../upstream-calls.ts";
import type { AuthzAnswer } from "./answer.ts";
import { httpCheck, type SeenBody } from "./check-request.ts";
import type { AuthzService, ExtAuthzConfig } from "./config.ts";
import { grpcAnswer } from "./grpc-answer.ts";
import { httpAnswer } from "./http-answer.ts";
import { shownHeaders } from "./shown-headers.ts";

/** Answers may carry the page that a denied client sees. */
const MAX_ANSWER_BYTES = 4_194_304;

export async function askAboutRequest(
  config: ExtAuthzConfig,
  calls: UpstreamCalls,
  context: RequestContext,
  body: SeenBody | undefined,
): Promise<AuthzAnswer> {
  const { service } = config;
  if (service.kind === "grpc")
    return await askGrpc(service, calls, httpCheck(config, context, body), context.over);
  const { fields, method, path, authority } = questionHeaders(config, service, context, body);
  const outcome = await calls.http({
    cluster: service.cluster,
    authority,
    timeoutMs: service.timeoutMs,
    signal: context.over,
    method,
    path,
    fields,
    ...(body === undefined ? {} : { body: body.bytes }),
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  return httpAnswer(outcome, service.answer);
}

export async function askGrpc(
  service: Extract<AuthzService, { readonly kind: "grpc" }>,
  calls: UpstreamCalls,
  message: Uint8Array,
  signal: AbortSignal,
): Promise<AuthzAnswer> {
  const outcome = await calls.unary({
    cluster: service.cluster,
    authority: service.authority,
    timeoutMs: service.timeoutMs,
    signal,
    service: "envoy.service.auth.v3.Authorization",
    method: "Check",
    metadata: service.metadata,
    message,
    maxAnswerBytes: MAX_ANSWER_BYTES,
  });
  return grpcAnswer(outcome);
}

/** The request as it came, but for its body's length, with the prefix before its path. */
function questionHeaders(
  config: ExtAuthzConfig,
  service: Extract<AuthzService, { readonly kind: "http" }>,
  context: RequestContext,
  body: SeenBody | undefined,
) {
  const { head } = context;
  const fields = new Map<string, string>();
  for (const [name, value] of shownHeaders(config, head))
    if (!name.startsWith(":") && name !== "content-length") fields.set(name, value);
  if (body !== undefined) fields.set("x-envoy-auth-partial-body", String(body.partial));
  fields.set("content-length", String(body?.bytes.length ?? 0));
  for (const [name, value] of service.headersToAdd) fields.set(name, value);
  return {
    fields: [...fields],
    method: head.method,
    path: `${service.pathPrefix}${head.path}`,
    authority: head.authority,
  };
}
