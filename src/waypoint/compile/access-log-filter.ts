/** Which streams an access log takes. */
import {
  type AccessLogFilter,
  AccessLogFilterSchema,
  type ComparisonFilter,
  ComparisonFilter_Op,
  ComparisonFilterSchema,
  type ExtensionFilter,
  type GrpcStatusFilter,
  type ResponseFlagFilter,
  type RuntimeFilter,
  RuntimeFilterSchema,
} from "../../shared/wire/gen/envoy/config/accesslog/v3/accesslog_pb.js";
import { RuntimeUInt32Schema } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { AccessLogType } from "../../shared/wire/gen/envoy/data/accesslog/v3/accesslog_pb.js";
import { ExpressionFilterSchema } from "../../shared/wire/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import type { ResponseFlag } from "../http/message.ts";
import { matchesHeader, matchesMetadata, metadataAt } from "../routing/match.ts";
import { compileExpression } from "../telemetry/cel/expression.ts";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import { grpcStatusOf } from "../telemetry/grpc-status.ts";
import type { LogFilterTest } from "../telemetry/log/access-log.ts";
import { isResponseFlag } from "../telemetry/response-flags.ts";
import { idFraction, isTraced } from "../telemetry/tracing/request-id.ts";
import { attempt } from "./attempt.ts";
import { readConfig, typedConfig } from "./filters/typed-config.ts";
import { compileHeaderMatcher } from "./matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { compileFraction, compileMetadataMatcher } from "./value-matchers.ts";

const allFilters = {
  used: [
    "status_code_filter",
    "duration_filter",
    "not_health_check_filter",
    "traceable_filter",
    "runtime_filter",
    "and_filter",
    "or_filter",
    "header_filter",
    "response_flag_filter",
    "grpc_status_filter",
    "extension_filter",
    "metadata_filter",
    "log_type_filter",
  ],
};

export function compileLogFilter(
  filter: AccessLogFilter,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): LogFilterTest {
  checkFields(filter, AccessLogFilterSchema, path, notes, allFilters);
  const { filterSpecifier: specifier } = filter;
  const all = (filters: readonly AccessLogFilter[], name: string): LogFilterTest[] =>
    filters.map((one, index) =>
      compileLogFilter(one, item(at(path, name), "filters", index), notes, environment),
    );
  switch (specifier.case) {
    case "andFilter": {
      const tests = all(specifier.value.filters, "and_filter");
      return (record) => tests.every((test) => test(record));
    }
    case "orFilter": {
      const tests = all(specifier.value.filters, "or_filter");
      return (record) => tests.some((test) => test(record));
    }
    case "statusCodeFilter": {
      const where = at(at(path, "status_code_filter"), "comparison");
      const test = comparison(specifier.value.comparison, where, notes);
      return ({ http }) => test(http?.status ?? 0);
    }
    case "durationFilter": {
      const where = at(at(path, "duration_filter"), "comparison");
      const test = comparison(specifier.value.comparison, where, notes);
      return ({ durationMs }) => test(Math.trunc(durationMs));
    }
    case "responseFlagFilter":
      return responseFlags(specifier.value, at(path, "response_flag_filter"));
    case "extensionFilter":
      return extension(specifier.value, at(path, "extension_filter"), notes);
    case "runtimeFilter":
      return sampled(specifier.value, at(path, "runtime_filter"), notes, environment);
    default:
      return rarer(specifier, path, notes);
  }
}

function rarer(
  specifier: AccessLogFilter["filterSpecifier"],
  path: Path,
  notes: Notes,
): LogFilterTest {
  switch (specifier.case) {
    // A waypoint answers no health checks of clients.
    case "notHealthCheckFilter":
      return () => true;
    case "traceableFilter":
      return ({ http }) => isTraced(http?.request.fields.get("x-request-id"));
    case "headerFilter": {
      const where = at(at(path, "header_filter"), "header");
      if (specifier.value.header === undefined) throw new CompileError(where, "is missing");
      const matcher = compileHeaderMatcher(specifier.value.header, where, notes);
      return ({ http }) => http !== undefined && matchesHeader(matcher, http.request);
    }
    case "grpcStatusFilter":
      return grpcStatus(specifier.value);
    case "metadataFilter": {
      const { matcher: message, matchIfKeyNotFound = true } = specifier.value;
      if (message === undefined) return () => matchIfKeyNotFound;
      const matcher = compileMetadataMatcher(
        message,
        at(at(path, "metadata_filter"), "matcher"),
        notes,
      );
      return ({ metadata }) =>
        metadataAt(metadata, matcher.filter, matcher.path) === undefined
          ? matchIfKeyNotFound
          : matchesMetadata(matcher, metadata);
    }
    case "logTypeFilter": {
      const { types, exclude } = specifier.value;
      const http = types.includes(AccessLogType.DownstreamEnd) !== exclude;
      const tcp = types.includes(AccessLogType.TcpConnectionEnd) !== exclude;
      return ({ kind }) => (kind === "http" ? http : tcp);
    }
    default:
      throw new CompileError(path, "says nothing to filter by");
  }
}

function comparison(
  filter: ComparisonFilter | undefined,
  path: Path,
  notes: Notes,
): (value: number) => boolean {
  if (filter === undefined) throw new CompileError(path, "is missing");
  checkFields(filter, ComparisonFilterSchema, path, notes, { used: ["op", "value"] });
  if (filter.value === undefined) throw new CompileError(at(path, "value"), "is missing");
  checkFields(filter.value, RuntimeUInt32Schema, at(path, "value"), notes, {
    used: ["default_value"],
    // There is no runtime here: the default holds.
    decorative: ["runtime_key"],
  });
  const { defaultValue: limit } = filter.value;
  switch (filter.op) {
    case ComparisonFilter_Op.EQ:
      return (value) => value === limit;
    case ComparisonFilter_Op.GE:
      return (value) => value >= limit;
    case ComparisonFilter_Op.LE:
      return (value) => value <= limit;
    default:
      throw new CompileError(at(path, "op"), `${filter.op} is not supported`);
  }
}

/** None named: any flag will do. */
function responseFlags(filter: ResponseFlagFilter, path: Path): LogFilterTest {
  const wanted = filter.flags.map((flag, index): ResponseFlag => {
    if (!isResponseFlag(flag))
      throw new CompileError(item(path, "flags", index), `there is no response flag "${flag}"`);
    return flag;
  });
  if (wanted.length === 0) return ({ flags }) => flags.length > 0;
  return ({ flags }) => flags.some((flag) => wanted.includes(flag));
}

/** An unanswered stream counts as unknown (2). */
function grpcStatus({ statuses, exclude }: GrpcStatusFilter): LogFilterTest {
  const wanted = new Set<number>(statuses);
  return ({ http }) => {
    const status = (http && grpcStatusOf(http)) ?? 2;
    return wanted.has(status) !== exclude;
  };
}

/** By the request's id, so that all logs of a request agree, or by chance. */
function sampled(
  filter: RuntimeFilter,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): LogFilterTest {
  checkFields(filter, RuntimeFilterSchema, path, notes, {
    used: ["percent_sampled", "use_independent_randomness"],
    decorative: ["runtime_key"],
  });
  const { numerator, denominator } = compileFraction(
    filter.percentSampled,
    at(path, "percent_sampled"),
  );
  const share = numerator / denominator;
  const { useIndependentRandomness } = filter;
  return ({ http }) => {
    const id = useIndependentRandomness ? undefined : http?.request.fields.get("x-request-id");
    return (idFraction(id, denominator) ?? environment.random()) < share;
  };
}

function extension(filter: ExtensionFilter, path: Path, notes: Notes): LogFilterTest {
  const where = at(path, "typed_config");
  const config = typedConfig(
    filter.configType.case === "typedConfig" ? filter.configType.value : undefined,
    where,
  );
  const message = readConfig(config, ExpressionFilterSchema, where);
  checkFields(message, ExpressionFilterSchema, where, notes, { used: ["expression"] });
  const expression = attempt(at(where, "expression"), () => compileExpression(message.expression));
  // What cannot be evaluated is not logged.
  return (record) => expression.evaluate(record) === true;
}
