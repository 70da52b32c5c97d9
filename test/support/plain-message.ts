/** Messages as plain data for comparison: Anys opened, and fields that our copy of the API does not know kept. */
import { readdirSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  createRegistry,
  type DescFile,
  type DescMessage,
  fromBinary,
  type Registry,
} from "@bufbuild/protobuf";
import { file_google_protobuf_wrappers } from "@bufbuild/protobuf/wkt";

const generated = resolve(import.meta.dirname, "../../src/shared/wire/gen");

async function loadRegistry(): Promise<Registry> {
  const files: DescFile[] = [file_google_protobuf_wrappers];
  const names = readdirSync(generated, { recursive: true, encoding: "utf8" });
  for (const name of names.filter((one) => one.endsWith("_pb.js"))) {
    const module = (await import(join(generated, name))) as Record<string, unknown>;
    for (const [key, value] of Object.entries(module))
      if (key.startsWith("file_")) files.push(value as DescFile);
  }
  return createRegistry(...files);
}

export const registry: Registry = await loadRegistry();

/** What only the reference's build has stays bytes. */
export function plainMessage(schema: DescMessage, bytes: Uint8Array): unknown {
  return plain(fromBinary(schema, bytes));
}

function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("hex");
  if (typeof value === "bigint") return `${value}n`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  const message = value as Record<string, unknown>;
  if (message["$typeName"] === "google.protobuf.Any") return plainAny(message);
  const entries = Object.entries(message)
    .filter(([key, field]) => key !== "$typeName" && !isUnset(field))
    .map(([key, field]) => [key, plain(field)] as const);
  return Object.fromEntries(entries);
}

/** A oneof without a choice is an object all the same. */
function isUnset(field: unknown): boolean {
  if (field === undefined) return true;
  if (Array.isArray(field)) return field.length === 0;
  return typeof field === "object" && field !== null && "case" in field && field.case === undefined;
}

function plainAny(any: Record<string, unknown>): unknown {
  const typeUrl = String(any["typeUrl"]);
  const bytes = any["value"] as Uint8Array;
  const schema = registry.getMessage(typeUrl.slice(typeUrl.lastIndexOf("/") + 1));
  return {
    "@type": typeUrl,
    value: schema === undefined ? plain(bytes) : plainMessage(schema, bytes),
  };
}
