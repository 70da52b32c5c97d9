/** Small values that clusters are made of. */
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import type { Any, Duration } from "@bufbuild/protobuf/wkt";
import { describeError } from "../../shared/base/errors.ts";
import type { Metadata } from "../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import { CompileError, type Path } from "./notes.ts";

export function milliseconds(duration: Duration | undefined, otherwise: number): number {
  if (duration === undefined) return otherwise;
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

/** A duration that must be above zero where it is given. */
export function positiveMs(duration: Duration | undefined, otherwise: number, path: Path): number {
  const ms = milliseconds(duration, otherwise);
  if (ms <= 0) throw new CompileError(path, `must be longer than zero, is ${ms} ms`);
  return ms;
}

export function percent(value: number | undefined, otherwise: number, path: Path): number {
  const given = value ?? otherwise;
  if (!(given >= 0 && given <= 100))
    throw new CompileError(path, `must be between 0 and 100, is ${given}`);
  return given;
}

export function unpackAs<Schema extends DescMessage>(
  any: Any | undefined,
  schema: Schema,
  path: Path,
): MessageShape<Schema> {
  if (any === undefined) throw new CompileError(path, "is missing");
  const type = typeOf(any);
  if (type !== schema.typeName)
    throw new CompileError(path, `is a ${type}; only ${schema.typeName} is supported here`);
  try {
    return fromBinary(schema, any.value);
  } catch (thrown) {
    throw undecodable(path, type, thrown);
  }
}

function undecodable(path: Path, type: string, cause: unknown): CompileError {
  return new CompileError(path, `cannot be decoded as ${type}: ${describeError(cause)}`, { cause });
}

export function typeOf(any: Any): string {
  return any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
}

type Json = Metadata["filterMetadata"][string][string];

/** `filter_metadata[filter][...path]`; undefined when there is no such thing. */
export function metadataAt(
  metadata: Metadata | undefined,
  filter: string,
  ...path: readonly string[]
): Json | undefined {
  let value: Json | undefined = metadata?.filterMetadata[filter];
  for (const key of path) {
    if (!isObject(value)) return undefined;
    value = value[key];
  }
  return value;
}

export function metadataText(
  metadata: Metadata | undefined,
  filter: string,
  ...path: readonly string[]
): string | undefined {
  const value = metadataAt(metadata, filter, ...path);
  return typeof value === "string" ? value : undefined;
}

export function isObject(value: Json | undefined): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
