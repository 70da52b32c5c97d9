/** Access logs of a listener, an HTTP connection manager or a TCP proxy (wire/waypoint.md sections 6.5 and 7.4). */
import {
  AccessLogSchema,
  type AccessLog as WireAccessLog,
} from "../../shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { FileAccessLogSchema } from "../../shared/wire/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from "../../shared/wire/gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import type { AccessLog } from "../telemetry/config.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import { accessLog, type LineFormat } from "../telemetry/log/access-log.ts";
import { compileLogFilter } from "./access-log-filter.ts";
import { defaultFormat, lineFormat, substitutionFormat } from "./access-log-format.ts";
import { readConfig, type TypedConfig, typedConfig } from "./filters/typed-config.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";

/** Sinks that need a service of their own. Losing their lines changes no request. */
const services: ReadonlyMap<string, string> = new Map([
  ["envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig", "a gRPC access log service"],
  ["envoy.extensions.access_loggers.grpc.v3.TcpGrpcAccessLogConfig", "a gRPC access log service"],
  [
    "envoy.extensions.access_loggers.open_telemetry.v3.OpenTelemetryAccessLogConfig",
    "an OpenTelemetry log collector",
  ],
]);

/** `path` names the field with the list. */
export function compileAccessLog(
  logs: readonly WireAccessLog[],
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): readonly AccessLog[] {
  const compiled: AccessLog[] = [];
  for (const [index, log] of logs.entries()) {
    const one = compileOne(log, `${path}[${index}]`, notes, environment);
    if (one !== undefined) compiled.push(one);
  }
  return compiled;
}

function compileOne(
  log: WireAccessLog,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): AccessLog | undefined {
  checkFields(log, AccessLogSchema, path, notes, { used: ["name", "filter", "typed_config"] });
  const configPath = at(path, "typed_config");
  const config = typedConfig(
    log.configType.case === "typedConfig" ? log.configType.value : undefined,
    configPath,
  );
  const filter = log.filter && compileLogFilter(log.filter, at(path, "filter"), notes, environment);
  const service = services.get(config.typeName);
  if (service !== undefined) {
    notes.decorates(configPath, `lines are not sent to ${service}; only files are written here`);
    return undefined;
  }
  const { target, format } = sinkOf(config, configPath, notes, environment);
  return accessLog(filter, format, environment.sink(target));
}

interface Sink {
  readonly target: string;
  readonly format: LineFormat;
}

function sinkOf(
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): Sink {
  switch (config.typeName) {
    case FileAccessLogSchema.typeName:
      return fileSink(config, path, notes, environment);
    case StdoutAccessLogSchema.typeName:
    case StderrAccessLogSchema.typeName:
      return streamSink(config, path, notes, environment);
    default:
      throw new CompileError(path, `${config.typeName} is not supported`);
  }
}

function fileSink(
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): Sink {
  const file = readConfig(config, FileAccessLogSchema, path);
  checkFields(file, FileAccessLogSchema, path, notes, {
    used: ["path", "format", "json_format", "typed_json_format", "log_format"],
  });
  if (file.path === "") throw new CompileError(at(path, "path"), "is empty");
  const { accessLogFormat: format } = file;
  const target = file.path;
  switch (format.case) {
    case "logFormat":
      return {
        target,
        format: substitutionFormat(format.value, at(path, "log_format"), notes, environment),
      };
    case "format":
      return { target, format: lineFormat(format.value, at(path, "format"), environment) };
    case "jsonFormat":
      return { target, format: lineFormat(format.value, at(path, "json_format"), environment) };
    case "typedJsonFormat":
      return {
        target,
        format: lineFormat(format.value, at(path, "typed_json_format"), environment),
      };
    default:
      return { target, format: defaultFormat(environment) };
  }
}

function streamSink(
  config: TypedConfig,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): Sink {
  const toStdout = config.typeName === StdoutAccessLogSchema.typeName;
  const schema = toStdout ? StdoutAccessLogSchema : StderrAccessLogSchema;
  const stream = readConfig(config, schema, path);
  checkFields(stream, schema, path, notes, { used: ["log_format"] });
  const { accessLogFormat: format } = stream;
  return {
    target: toStdout ? "/dev/stdout" : "/dev/stderr",
    format:
      format.case === "logFormat"
        ? substitutionFormat(format.value, at(path, "log_format"), notes, environment)
        : defaultFormat(environment),
  };
}
