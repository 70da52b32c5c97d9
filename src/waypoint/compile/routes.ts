/** RouteConfiguration → RouteTable (wire/waypoint.md section 5). */
import type { Any } from "@bufbuild/protobuf/wkt";
import {
  type Route as RouteMessage,
  RouteSchema,
  VirtualHost_TlsRequirementType,
  type VirtualHost as VirtualHostMessage,
  VirtualHostSchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_components_pb.js";
import {
  type RouteConfiguration,
  RouteConfigurationSchema,
} from "../../shared/wire/gen/envoy/config/route/v3/route_pb.js";
import type {
  HeaderMutations,
  Route,
  RouteAction,
  RouteTable,
  VirtualHost,
} from "../model/route.ts";
import { DuplicateDomain, routeTable, virtualHost } from "../routing/table.ts";
import { metadataText } from "./cluster-values.ts";
import { compileMutations, joinMutations } from "./headers.ts";
import type { CompileHooks } from "./hooks.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileForward } from "./route-action.ts";
import { compileMatch } from "./route-match.ts";
import { compileDirectResponse, compileRedirect } from "./route-redirect.ts";

/** Envoy's limit where the configuration says nothing. */
const DEFAULT_MAX_DIRECT_BODY_BYTES = 4096;

/** What routes inherit. */
interface Scope {
  readonly hooks: Pick<CompileHooks, "perRoute">;
  readonly notes: Notes;
  readonly maxDirectBodyBytes: number;
  readonly specificWins: boolean;
  readonly request: HeaderMutations;
  readonly response: HeaderMutations;
  readonly perFilter: ReadonlyMap<string, unknown>;
}

const headerFields = [
  "request_headers_to_add",
  "request_headers_to_remove",
  "response_headers_to_add",
  "response_headers_to_remove",
  "typed_per_filter_config",
];

const tableFields = {
  used: [
    ...headerFields,
    "name",
    "virtual_hosts",
    "max_direct_response_body_size_bytes",
    "most_specific_header_mutations_wins",
    "ignore_port_in_host_matching",
  ],
  // A cluster that does not exist is answered with 503 or what the route says, never refused.
  decorative: ["validate_clusters", "metadata"],
};

export function compileRoutes(
  config: RouteConfiguration,
  path: Path,
  notes: Notes,
  hooks: Pick<CompileHooks, "perRoute">,
): RouteTable {
  checkFields(config, RouteConfigurationSchema, path, notes, tableFields);
  const maxDirectBodyBytes = config.maxDirectResponseBodySizeBytes ?? DEFAULT_MAX_DIRECT_BODY_BYTES;
  const scope: Scope = {
    hooks,
    notes,
    maxDirectBodyBytes,
    specificWins: config.mostSpecificHeaderMutationsWins,
    ...headersOf(config, path, notes),
    perFilter: perFilterOf(config.typedPerFilterConfig, path, notes, hooks),
  };
  const hosts = config.virtualHosts.map((host, index) =>
    compileVirtualHost(host, scope, item(path, "virtual_hosts", index)),
  );
  return tableOf(config, hosts, maxDirectBodyBytes, path);
}

function tableOf(
  config: RouteConfiguration,
  hosts: readonly VirtualHost[],
  maxDirectResponseBodyBytes: number,
  path: Path,
): RouteTable {
  const ignorePort = config.ignorePortInHostMatching;
  try {
    return routeTable(config.name, hosts, { maxDirectResponseBodyBytes, ignorePort });
  } catch (thrown) {
    throw thrown instanceof DuplicateDomain ? duplicateDomain(path, thrown) : thrown;
  }
}

function duplicateDomain(path: Path, cause: DuplicateDomain): CompileError {
  return new CompileError(at(path, "virtual_hosts"), cause.message, { cause });
}

interface WithHeaders {
  readonly requestHeadersToAdd: RouteMessage["requestHeadersToAdd"];
  readonly requestHeadersToRemove: readonly string[];
  readonly responseHeadersToAdd: RouteMessage["responseHeadersToAdd"];
  readonly responseHeadersToRemove: readonly string[];
}

function headersOf(
  message: WithHeaders,
  path: Path,
  notes: Notes,
): Pick<Scope, "request" | "response"> {
  return {
    request: compileMutations(
      "request",
      message.requestHeadersToAdd,
      message.requestHeadersToRemove,
      path,
      notes,
    ),
    response: compileMutations(
      "response",
      message.responseHeadersToAdd,
      message.responseHeadersToRemove,
      path,
      notes,
    ),
  };
}

/** The more specific level first, unless the table says that it wins by coming last. */
function joined(specific: HeaderMutations, general: HeaderMutations, specificWins: boolean) {
  return specificWins ? joinMutations(general, specific) : joinMutations(specific, general);
}

const noFilters: ReadonlyMap<string, unknown> = new Map();

function perFilterOf(
  configs: Readonly<Record<string, Any>>,
  path: Path,
  notes: Notes,
  hooks: Pick<CompileHooks, "perRoute">,
): ReadonlyMap<string, unknown> {
  const names = Object.keys(configs);
  if (names.length === 0) return noFilters;
  const inside = at(path, "typed_per_filter_config");
  const compiled = new Map<string, unknown>();
  for (const name of names) {
    const config = configs[name];
    if (config !== undefined)
      compiled.set(name, hooks.perRoute(name, config, `${inside}[${JSON.stringify(name)}]`, notes));
  }
  return compiled;
}

function merged(specific: ReadonlyMap<string, unknown>, general: ReadonlyMap<string, unknown>) {
  if (general.size === 0) return specific;
  return specific.size === 0 ? general : new Map([...general, ...specific]);
}

const hostFields = {
  used: [...headerFields, "name", "domains", "routes", "require_tls", "retry_policy"],
  decorative: ["metadata", "virtual_clusters", "per_request_buffer_limit_bytes"],
};

function compileVirtualHost(host: VirtualHostMessage, scope: Scope, path: Path): VirtualHost {
  const { notes, hooks } = scope;
  checkFields(host, VirtualHostSchema, path, notes, hostFields);
  if (host.requireTls !== VirtualHost_TlsRequirementType.NONE)
    throw new CompileError(at(path, "require_tls"), "is not supported");
  if (host.domains.length === 0) throw new CompileError(at(path, "domains"), "is empty");
  const own = headersOf(host, path, notes);
  const inner: Scope = {
    ...scope,
    request: joined(own.request, scope.request, scope.specificWins),
    response: joined(own.response, scope.response, scope.specificWins),
    perFilter: merged(perFilterOf(host.typedPerFilterConfig, path, notes, hooks), scope.perFilter),
  };
  const routes = host.routes.map((route, index) =>
    compileRoute(route, host, inner, item(path, "routes", index), path),
  );
  return virtualHost(host.name, host.domains, routes);
}

const routeFields = {
  used: [
    ...headerFields,
    "name",
    "match",
    "route",
    "redirect",
    "direct_response",
    "metadata",
    "decorator",
    "non_forwarding_action",
  ],
  decorative: ["stat_prefix", "tracing", "per_request_buffer_limit_bytes"],
};

function compileRoute(
  route: RouteMessage,
  host: VirtualHostMessage,
  scope: Scope,
  path: Path,
  hostPath: Path,
): Route {
  const { notes, hooks } = scope;
  checkFields(route, RouteSchema, path, notes, routeFields);
  const own = headersOf(route, path, notes);
  const operation = route.decorator?.operation;
  const match = compileMatch(route.match, at(path, "match"), notes);
  const action = compileAction(route, host, scope, path, hostPath);
  if (match.path.kind === "template" && rewritesPrefix(action))
    throw new CompileError(path, "has a prefix rewrite beside a template, which has no prefix");
  return {
    name: route.name,
    ...match,
    action,
    requestHeaders: joined(own.request, scope.request, scope.specificWins),
    responseHeaders: joined(own.response, scope.response, scope.specificWins),
    decoratorOperation: operation === "" ? undefined : operation,
    origin: metadataText(route.metadata, "istio", "config"),
    perFilter: merged(perFilterOf(route.typedPerFilterConfig, path, notes, hooks), scope.perFilter),
  };
}

function rewritesPrefix(action: RouteAction): boolean {
  if (action.kind === "forward") return action.forward.pathRewrite.kind === "prefix";
  return action.kind === "redirect" && action.redirect.path.kind === "prefix";
}

function compileAction(
  { action }: RouteMessage,
  host: VirtualHostMessage,
  { notes, maxDirectBodyBytes }: Scope,
  path: Path,
  hostPath: Path,
): RouteAction {
  switch (action.case) {
    case "route": {
      const defaults = {
        retryPolicy: host.retryPolicy,
        retryPath: at(hostPath, "retry_policy"),
      };
      const forward = compileForward(action.value, defaults, at(path, "route"), notes);
      return { kind: "forward", forward };
    }
    case "redirect":
      return compileRedirect(action.value, at(path, "redirect"), notes);
    case "directResponse":
      return compileDirectResponse(
        action.value,
        maxDirectBodyBytes,
        at(path, "direct_response"),
        notes,
      );
    default:
      return { kind: "none" };
  }
}
