/** Access logs: of the mesh's configuration, or of the providers that Telemetry names, each with its filter. */
import type { JsonObject } from "@bufbuild/protobuf";
import type { FileAccessLogProvider } from "../../../shared/objects/kinds/mesh-config.ts";
import type { AccessLoggingSpec } from "../../../shared/objects/kinds/telemetry.ts";
import type {
  AccessLogFilterSchema,
  AccessLogSchema,
} from "../../../shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { ComparisonFilter_Op } from "../../../shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../../../shared/wire/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { ExpressionFilterSchema } from "../../../shared/wire/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { ReqWithoutQuerySchema } from "../../../shared/wire/gen/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.js";
import { jsonFormat, textFormat } from "./access-log-format.ts";
import { typed } from "./filters.ts";
import type { Mesh } from "./mesh.ts";
import { type ApplicableTelemetry, concernsServer, findProvider } from "./telemetry.ts";
import { byText, type Init, pack } from "./wire.ts";

export type AccessLogInit = Init<typeof AccessLogSchema>;
type Filter = Init<typeof AccessLogFilterSchema>;

/** Where in the chain of hops a log is written; outside the inner connection only failures are. */
export type LogPlace = "stream" | "listener" | "origination" | "termination";

const placeFilters: Readonly<Record<LogPlace, Filter | undefined>> = {
  stream: undefined,
  // No route, and no chain: of that nothing else would tell.
  listener: flagFilter("NR"),
  // The details of a failed connection would be lost further in.
  origination: flagFilter("UF"),
  termination: {
    filterSpecifier: {
      case: "statusCodeFilter",
      value: {
        comparison: {
          op: ComparisonFilter_Op.GE,
          value: { defaultValue: 400, runtimeKey: "istio.io/unset" },
        },
      },
    },
  },
};

function flagFilter(flag: string): Filter {
  return { filterSpecifier: { case: "responseFlagFilter", value: { flags: [flag] } } };
}

export function accessLogs(
  mesh: Mesh,
  telemetry: ApplicableTelemetry,
  place: LogPlace,
): AccessLogInit[] {
  if (place === "listener" && !mesh.accessLog.listeners) return [];
  const configured = configuredLogs(mesh, telemetry);
  const placeFilter = placeFilters[place];
  if (configured === undefined)
    return mesh.accessLog.file === ""
      ? []
      : [withFilter(fileLog(meshFile(mesh, mesh.accessLog.file)), placeFilter)];
  return configured.map(({ log, expression }) =>
    withFilter(log, placeFilter, expression === undefined ? undefined : celFilter(expression)),
  );
}

function withFilter(
  log: AccessLogInit,
  ...filters: readonly (Filter | undefined)[]
): AccessLogInit {
  const given = filters.flatMap((filter) => filter ?? []);
  const [first] = given;
  if (first === undefined) return log;
  if (given.length === 1) return { ...log, filter: first };
  return { ...log, filter: { filterSpecifier: { case: "andFilter", value: { filters: given } } } };
}

function celFilter(expression: string): Filter {
  const name = "envoy.access_loggers.extension_filters.cel";
  const value = typed(name, pack(ExpressionFilterSchema, { expression }));
  return { filterSpecifier: { case: "extensionFilter", value } };
}

interface ConfiguredLog {
  readonly log: AccessLogInit;
  readonly expression: string | undefined;
}

/** Undefined when nobody configured a provider that we have: then the mesh's plain setting counts. */
function configuredLogs(
  mesh: Mesh,
  { logging }: ApplicableTelemetry,
): readonly ConfiguredLog[] | undefined {
  const decisions = logging.length === 0 ? defaultsOf(mesh) : mergeLogging(mesh, logging);
  const found: { readonly name: string; readonly log: ConfiguredLog | undefined }[] = [];
  for (const [name, decision] of decisions) {
    const provider = findProvider(mesh, name);
    if (provider?.envoyFileAccessLog === undefined) continue;
    const log = providerLog(mesh, provider.name, provider.envoyFileAccessLog);
    const expression = decision.filter?.expression;
    found.push({ name: provider.name, log: decision.disabled ? undefined : { log, expression } });
  }
  if (found.length === 0) return undefined;
  return found.sort((a, b) => byText(a.name, b.name)).flatMap(({ log }) => log ?? []);
}

interface Decision {
  readonly disabled: boolean;
  readonly filter?: AccessLoggingSpec["filter"];
}

function defaultsOf(mesh: Mesh): ReadonlyMap<string, Decision> {
  return new Map(mesh.defaultProviders.accessLogging.map((name) => [name, { disabled: false }]));
}

/** The providers are those of the most specific object that names some; the last word about each counts. */
function mergeLogging(mesh: Mesh, logging: ApplicableTelemetry["logging"]): Map<string, Decision> {
  const defaults = mesh.defaultProviders.accessLogging;
  const { filters, inScope } = namedProviders(logging, defaults);
  const decisions = new Map<string, Decision>();
  let parents: readonly string[] = defaults;
  for (const spec of logging.flat()) {
    const names = spec.providers.length > 0 ? spec.providers.map(({ name }) => name) : parents;
    parents = names;
    if (!concernsServer(spec.match?.mode)) continue;
    for (const name of names)
      if (inScope.includes(name)) decisions.set(name, decisionOf(spec, filters.get(name)));
  }
  return decisions;
}

function decisionOf(
  { disabled }: AccessLoggingSpec,
  filter: AccessLoggingSpec["filter"],
): Decision {
  if (disabled === true) return { disabled: true };
  return { disabled: false, ...(filter === undefined ? {} : { filter }) };
}

interface NamedProviders {
  readonly filters: ReadonlyMap<string, AccessLoggingSpec["filter"]>;
  readonly inScope: readonly string[];
}

function namedProviders(
  logging: ApplicableTelemetry["logging"],
  defaults: readonly string[],
): NamedProviders {
  const filters = new Map<string, AccessLoggingSpec["filter"]>();
  let inScope = defaults;
  for (const list of logging) {
    const named = list.filter(({ match }) => concernsServer(match?.mode));
    for (const { providers, filter } of named)
      for (const { name } of providers) filters.set(name, filter);
    const names = new Set(named.flatMap(({ providers }) => providers.map(({ name }) => name)));
    if (names.size > 0) inScope = [...names];
  }
  return { filters, inScope };
}

const BUILT_IN = "envoy";

function providerLog(mesh: Mesh, name: string, provider: FileAccessLogProvider): AccessLogInit {
  const { path, logFormat, omitEmptyValues } = provider;
  // The built-in provider stands for the mesh's setting, wherever it writes to.
  if (name === BUILT_IN && logFormat === undefined && !omitEmptyValues)
    return fileLog(meshFile(mesh, path));
  const format: FileFormat =
    logFormat?.labels !== undefined
      ? { json: labelsOf(logFormat.labels) }
      : { text: logFormat?.text ?? "" };
  return fileLog({ path: path === "" ? "/dev/stdout" : path, format, omitEmptyValues });
}

type FileFormat = { readonly text: string } | { readonly json: JsonObject };

interface FileLog {
  readonly path: string;
  readonly format: FileFormat;
  readonly omitEmptyValues: boolean;
}

function meshFile(mesh: Mesh, path: string): FileLog {
  const { encoding, format } = mesh.accessLog;
  if (encoding === "TEXT") return { path, format: { text: format }, omitEmptyValues: false };
  return { path, format: { json: parseJsonFormat(format) }, omitEmptyValues: false };
}

/** A format that is no JSON object is as good as none. */
function parseJsonFormat(text: string): JsonObject {
  if (text === "") return jsonFormat;
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return value as JsonObject;
  } catch {
    // Told by the reference in its log only; nothing here depends on it.
  }
  return jsonFormat;
}

function labelsOf(labels: Readonly<Record<string, unknown>>): JsonObject {
  return Object.keys(labels).length === 0 ? jsonFormat : (labels as JsonObject);
}

function fileLog({ path, format, omitEmptyValues }: FileLog): AccessLogInit {
  const isText = "text" in format;
  const text = isText ? textOf(format.text) : JSON.stringify(format.json);
  return typed(
    "envoy.access_loggers.file",
    pack(FileAccessLogSchema, {
      path,
      accessLogFormat: {
        case: "logFormat",
        value: {
          format: isText
            ? {
                case: "textFormatSource",
                value: { specifier: { case: "inlineString", value: text } },
              }
            : { case: "jsonFormat", value: format.json },
          ...(isText ? {} : { jsonFormatOptions: { sortProperties: false } }),
          omitEmptyValues,
          formatters: text.includes("%REQ_WITHOUT_QUERY") ? [reqWithoutQuery()] : [],
        },
      },
    }),
  );
}

/** A line ends, also when the format forgets to say so. */
function textOf(format: string): string {
  if (format === "") return textFormat;
  return format.endsWith("\n") ? format : `${format}\n`;
}

function reqWithoutQuery() {
  return {
    name: "envoy.formatter.req_without_query",
    typedConfig: pack(ReqWithoutQuerySchema),
  };
}
