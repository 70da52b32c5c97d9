/** Resources as JSON in the form of Envoy's admin port: protobuf names, Anys opened. */
import {
  create,
  type DescField,
  fromBinary,
  type JsonValue,
  type Registry,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Any, AnySchema } from "@bufbuild/protobuf/wkt";
import { TypedStructSchema } from "../../shared/wire/gen/xds/type/v3/typed_struct_pb.js";

export type PrintResource = (typeUrl: string, bytes: Uint8Array) => JsonValue;

export function resourcePrinter(registry: Registry): PrintResource {
  return (typeUrl, bytes) => {
    const schema = registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
    if (schema === undefined)
      return { "@type": typeUrl, value: Buffer.from(bytes).toString("base64") };
    const message = fromBinary(schema, bytes);
    openable(registry, reflect(schema, message, false));
    return {
      "@type": typeUrl,
      ...(toJson(schema, message, { registry, useProtoFieldName: true }) as Record<
        string,
        JsonValue
      >),
    };
  };
}

/**
 * Replaces what this program has no schema for: JSON has no place for unknown octets, but a TypedStruct can say what the type
 * was, and tools know it.
 */
function openable(registry: Registry, message: ReflectMessage): void {
  if (message.desc.typeName === AnySchema.typeName) {
    openAny(registry, message.message as Any);
    return;
  }
  for (const field of message.fields)
    if (message.isSet(field))
      for (const inner of messagesIn(message, field)) openable(registry, inner);
}

function messagesIn(message: ReflectMessage, field: DescField): Iterable<ReflectMessage> {
  if (field.fieldKind === "message") return [message.get(field)];
  if (field.fieldKind === "list" && field.listKind === "message")
    return message.get(field) as Iterable<ReflectMessage>;
  if (field.fieldKind === "map" && field.mapKind === "message")
    return message.get(field).values() as Iterable<ReflectMessage>;
  return [];
}

function openAny(registry: Registry, any: Any): void {
  const name = any.typeUrl.slice(any.typeUrl.lastIndexOf("/") + 1);
  const schema = registry.getMessage(name);
  if (schema === undefined) {
    const value = { octets: Buffer.from(any.value).toString("base64") };
    any.value = toBinary(
      TypedStructSchema,
      create(TypedStructSchema, { typeUrl: any.typeUrl, value }),
    );
    any.typeUrl = `type.googleapis.com/${TypedStructSchema.typeName}`;
    return;
  }
  const inner = fromBinary(schema, any.value);
  openable(registry, reflect(schema, inner, false));
  any.value = toBinary(schema, inner);
}
