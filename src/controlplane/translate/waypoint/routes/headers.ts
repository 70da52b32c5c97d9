/** Changes of headers that a route makes. */
import type { HeadersSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import {
  HeaderValueOption_HeaderAppendAction,
  type HeaderValueOptionSchema,
} from "../../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { byText, type Init } from "../wire.ts";

type HeaderOption = Init<typeof HeaderValueOptionSchema>;

export interface HeaderOperations {
  readonly requestHeadersToAdd: HeaderOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderOption[];
  readonly responseHeadersToRemove: string[];
}

export interface TranslatedHeaders {
  readonly operations: HeaderOperations;
  /** The host is no header to Envoy: it is rewritten by the route. */
  readonly authority: string;
}

const { APPEND_IF_EXISTS_OR_ADD, OVERWRITE_IF_EXISTS_OR_ADD } =
  HeaderValueOption_HeaderAppendAction;

export function headerOperations(spec: HeadersSpec | undefined): TranslatedHeaders {
  const { request, response } = spec ?? {};
  return {
    operations: {
      requestHeadersToAdd: changes(request),
      requestHeadersToRemove: removals(request),
      responseHeadersToAdd: changes(response),
      responseHeadersToRemove: removals(response),
    },
    authority: authorityOf(request?.set) || authorityOf(request?.add),
  };
}

type Operations = NonNullable<HeadersSpec["request"]>;

function changes(operations: Operations | undefined): HeaderOption[] {
  return [
    ...options(operations?.set, OVERWRITE_IF_EXISTS_OR_ADD),
    ...options(operations?.add, APPEND_IF_EXISTS_OR_ADD),
  ];
}

function options(
  headers: Readonly<Record<string, string>> | undefined,
  appendAction: HeaderValueOption_HeaderAppendAction,
): HeaderOption[] {
  return Object.entries(headers ?? {})
    .filter(([key]) => !isInternal(key))
    .sort(([a], [b]) => byText(a, b))
    .map(([key, value]) => ({ header: { key, value }, appendAction }));
}

function removals(operations: Operations | undefined): string[] {
  return (operations?.remove ?? []).filter((key) => !isInternal(key));
}

/** What Envoy keeps for itself cannot be set like a header. */
function isInternal(key: string): boolean {
  return key.startsWith(":") || key.toLowerCase() === "host";
}

function authorityOf(headers: Readonly<Record<string, string>> | undefined): string {
  for (const [key, value] of Object.entries(headers ?? {}))
    if ([":authority", "host"].includes(key.toLowerCase())) return value;
  return "";
}
