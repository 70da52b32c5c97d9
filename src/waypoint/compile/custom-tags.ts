/** Tags that Telemetry adds to spans. */
import type { MetadataKey } from "../../shared/wire/gen/envoy/type/metadata/v3/metadata_pb.js";
import {
  type CustomTag_Metadata,
  type CustomTag as CustomTagMessage,
  CustomTagSchema,
} from "../../shared/wire/gen/envoy/type/tracing/v3/custom_tag_pb.js";
import type { TelemetryEnvironment } from "../telemetry/environment.ts";
import type { CustomTag } from "../telemetry/tracing/tags.ts";
import { compileFormat } from "./access-log-format.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "./notes.ts";
import { unknownText } from "./unknown-fields.ts";

/** `value`, a format string. */
const VALUE = 6;

const fields = {
  used: ["tag", "literal", "environment", "request_header", "metadata"],
  unknownUsed: [VALUE],
};

export function compileCustomTags(
  tags: readonly CustomTagMessage[],
  path: Path,
  notes: Notes,
  environment: TelemetryEnvironment,
): readonly CustomTag[] {
  const compiled = new Map<string, CustomTag>();
  for (const [index, tag] of tags.entries()) {
    const where = item(path, "custom_tags", index);
    checkFields(tag, CustomTagSchema, where, notes, fields);
    if (tag.tag === "") throw new CompileError(at(where, "tag"), "is empty");
    const one = compileTag(tag, where, environment);
    // An empty value is no tag; of two of one name the first stands, as in Envoy.
    if (one !== undefined && !compiled.has(tag.tag)) compiled.set(tag.tag, one);
  }
  return [...compiled.values()];
}

function compileTag(
  message: CustomTagMessage,
  path: Path,
  environment: TelemetryEnvironment,
): CustomTag | undefined {
  const { tag, type } = message;
  switch (type.case) {
    case "literal":
      return value(tag, type.value.value);
    case "environment":
      return value(tag, environment.variable(type.value.name) ?? type.value.defaultValue);
    case "requestHeader": {
      const name = type.value.name.toLowerCase();
      if (name === "") throw new CompileError(at(path, "request_header.name"), "is empty");
      return { kind: "header", tag, name, fallback: type.value.defaultValue };
    }
    case "metadata":
      return metadata(tag, type.value, at(path, "metadata"));
    default: {
      const format = unknownText(message, VALUE);
      if (format === undefined) throw new CompileError(path, "has no value");
      return { kind: "format", tag, format: compileFormat(format, at(path, "value"), environment) };
    }
  }
}

function value(tag: string, text: string): CustomTag | undefined {
  return text === "" ? undefined : { kind: "value", tag, value: text };
}

function metadata(tag: string, message: CustomTag_Metadata, path: Path): CustomTag {
  const { kind, metadataKey, defaultValue } = message;
  if (metadataKey === undefined || metadataKey.key === "")
    throw new CompileError(at(path, "metadata_key"), "is missing");
  return {
    kind: "metadata",
    tag,
    from: kind?.kind.case ?? "request",
    filter: metadataKey.key,
    path: pathOf(metadataKey, at(path, "metadata_key")),
    fallback: defaultValue,
  };
}

function pathOf({ path: segments }: MetadataKey, path: Path): readonly string[] {
  return segments.map(({ segment }, index) => {
    if (segment.case !== "key") throw new CompileError(item(path, "path", index), "names no key");
    return segment.value;
  });
}
