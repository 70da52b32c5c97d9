/** Formats of access logs: text with operators, or a structure of such texts. */
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import {
  type DataSource,
  DataSourceSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  type SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from "../../shared/wire/gen/envoy/config/core/v3/substitution_format_string_pb.js";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import type { LineFormat } from "../telemetry/log/access-log.ts";
import type { Format } from "../telemetry/log/format.ts";
import type { JsonFormat } from "../telemetry/log/json-format.ts";
import { parseFormat } from "../telemetry/log/parse.ts";
import { attempt } from "./attempt.ts";
import { typedConfig } from "./filters/typed-config.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";

/** Envoy's, for logs without a format; the reference always gives its own. */
const ENVOY_DEFAULT =
  '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"\n';

export function defaultFormat(environment: TelemetryEnvironment): LineFormat {
  return { kind: "text", format: parseFormat(ENVOY_DEFAULT, environment), omitEmpty: false };
}

export function compileFormat(
  source: string,
  path: Path,
  environment: TelemetryEnvironment,
): Format {
  return attempt(path, () => parseFormat(source, environment));
}

/** The old fields of FileAccessLog: text or a structure, without options. */
export function lineFormat(
  format: string | JsonObject,
  path: Path,
  environment: TelemetryEnvironment,
): LineFormat {
  return typeof format === "string"
    ? { kind: "text", format: compileFormat(format, path, environment), omitEmpty: false }
    : { kind: "json", format: jsonFormat(format, path, environment), omitEmpty: false };
}

/** Operators that these add are always known here. */
const formatters: ReadonlySet<string> = new Set([
  "envoy.extensions.formatter.req_without_query.v3.ReqWithoutQuery",
  "envoy.extensions.formatter.metadata.v3.Metadata",
  "envoy.extensions.formatter.cel.v3.Cel",
]);

const fields = {
  used: ["text_format", "json_format", "text_format_source", "omit_empty_values", "formatters"],
  // For bodies of answers; objects are always printed in the order of their keys.
  decorative: ["content_type", "json_format_options"],
};

export function substitutionFormat(
  message: SubstitutionFormatString,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): LineFormat {
  checkFields(message, SubstitutionFormatStringSchema, path, notes, fields);
  for (const [index, formatter] of message.formatters.entries()) {
    const where = at(item(path, "formatters", index), "typed_config");
    const { typeName } = typedConfig(formatter.typedConfig, where);
    if (!formatters.has(typeName)) throw new CompileError(where, `${typeName} is not supported`);
  }
  const { format, omitEmptyValues: omitEmpty } = message;
  switch (format.case) {
    case "textFormat":
      return textFormat(format.value, at(path, "text_format"), omitEmpty, environment);
    case "textFormatSource": {
      const where = at(path, "text_format_source");
      const source = sourceText(format.value, where, notes, environment);
      return textFormat(source, where, omitEmpty, environment);
    }
    case "jsonFormat":
      return {
        kind: "json",
        format: jsonFormat(format.value, at(path, "json_format"), environment),
        omitEmpty,
      };
    default:
      throw new CompileError(path, "has no format");
  }
}

function textFormat(
  source: string,
  path: Path,
  omitEmpty: boolean,
  environment: TelemetryEnvironment,
): LineFormat {
  return { kind: "text", format: compileFormat(source, path, environment), omitEmpty };
}

function sourceText(
  source: DataSource,
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): string {
  const { specifier } = source;
  checkFields(source, DataSourceSchema, path, notes, {
    used: ["inline_string", "inline_bytes", "environment_variable"],
  });
  switch (specifier.case) {
    case "inlineString":
      return specifier.value;
    case "inlineBytes":
      return new TextDecoder().decode(specifier.value);
    case "environmentVariable": {
      const value = environment.variable(specifier.value);
      if (value === undefined)
        throw new CompileError(at(path, "environment_variable"), "is not set");
      return value;
    }
    default:
      throw new CompileError(path, "is empty");
  }
}

/** Keys come in the order of their names, as Envoy prints them. */
function jsonFormat(value: JsonValue, path: Path, environment: TelemetryEnvironment): JsonFormat {
  if (typeof value === "string")
    return { kind: "value", format: compileFormat(value, path, environment) };
  if (typeof value !== "object" || value === null)
    return { kind: "literal", text: JSON.stringify(value) };
  if (Array.isArray(value))
    return {
      kind: "list",
      items: value.map((one, index) => jsonFormat(one, `${path}[${index}]`, environment)),
    };
  const keys = Object.keys(value).sort();
  return {
    kind: "object",
    fields: keys.map((key) => [key, jsonFormat(value[key] ?? null, at(path, key), environment)]),
  };
}
