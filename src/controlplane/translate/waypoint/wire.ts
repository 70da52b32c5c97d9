/** Small pieces of messages that occur everywhere in a waypoint's resources. */
import {
  create,
  type DescMessage,
  type JsonObject,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Any, AnySchema, type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";

/** A message's fields as plain data, without the finished message as an alternative: it can be spread and completed. */
export type Init<D extends DescMessage> = Extract<
  MessageInitShape<D>,
  { readonly $typeName?: never }
>;

const TYPE_PREFIX = "type.googleapis.com/";

/** Packs a message as it stands: what is not written is the default. */
export function pack<D extends DescMessage>(schema: D, init?: MessageInitShape<D>): Any {
  return packed(schema, create(schema, init));
}

export function packed<D extends DescMessage>(schema: D, message: MessageShape<D>): Any {
  return create(AnySchema, {
    typeUrl: `${TYPE_PREFIX}${schema.typeName}`,
    value: toBinary(schema, message),
  });
}

/** Finished bytes of a message whose type only the reference's build has. */
export function packBytes(typeName: string, value: Uint8Array): Any {
  return create(AnySchema, { typeUrl: `${TYPE_PREFIX}${typeName}`, value });
}

export function durationOf(milliseconds: number): Duration {
  const seconds = Math.floor(milliseconds / 1000);
  return create(DurationSchema, {
    seconds: BigInt(seconds),
    nanos: Math.round((milliseconds - seconds * 1000) * 1e6),
  });
}

export function maybeDuration(milliseconds: number | undefined): Duration | undefined {
  return milliseconds === undefined ? undefined : durationOf(milliseconds);
}

export function filterMetadata(entries: Readonly<Record<string, JsonObject>>) {
  return { filterMetadata: entries };
}

/**
 * A field that the generated message does not know: for what the reference's Envoy has and our copy of its API does not.
 * Only length-delimited fields are needed.
 */
export function unknownBytes(no: number, value: Uint8Array) {
  return { no, wireType: 2, data: withLength(value) } as const;
}

export function unknownText(no: number, text: string) {
  return unknownBytes(no, new TextEncoder().encode(text));
}

function withLength(value: Uint8Array): Uint8Array {
  return concat([varint(value.length), value]);
}

export function varint(value: number): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  bytes.push(rest);
  return Uint8Array.from(bytes);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** One field in the wire's format, for messages without a generated schema. */
export function bytesField(no: number, value: Uint8Array): Uint8Array {
  return concat([varint(no * 8 + 2), withLength(value)]);
}

export function textField(no: number, text: string): Uint8Array {
  return bytesField(no, new TextEncoder().encode(text));
}

export function varintField(no: number, value: number): Uint8Array {
  return concat([varint(no * 8), varint(value)]);
}

export function byText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
