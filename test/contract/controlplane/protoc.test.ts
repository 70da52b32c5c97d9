/**
 * protoc reads our bytes: for every golden L4 case, what our control plane encodes prints, field by field, as what the
 * reference sent prints, and neither holds a field that our .proto files do not name.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BytesValueSchema } from "@bufbuild/protobuf/wkt";
import { DeltaDiscoveryResponseSchema } from "../../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { encodeServiceAddress, encodeWorkloadAddress } from "../../../src/shared/xds/encode.ts";
import { encodePolicy } from "../../../src/shared/xds/encode-policy.ts";
import { translate } from "../../support/translate.ts";

const root = resolve(import.meta.dirname, "../../golden");
const cases = readdirSync(root).filter((name) => name.startsWith("l4-"));
const protos = resolve(import.meta.dirname, "../../../src/shared/wire/proto");
const version = spawnSync("protoc", ["--version"], { encoding: "utf8" }).stdout?.trim();
const missing = version ? false : "protoc is not installed (Debian: protobuf-compiler)";

/** Debian ships the well-known types in another package than protoc. */
const wellKnown: Readonly<Record<string, string>> = {
  "any.proto": "message Any { string type_url = 1; bytes value = 2; }",
  "wrappers.proto": "message UInt32Value { uint32 value = 1; }",
};

const messages = {
  Address: "istio/workload/workload.proto",
  Authorization: "istio/security/authorization.proto",
} as const;
type MessageName = keyof typeof messages;
const fullNames = {
  Address: "istio.workload.Address",
  Authorization: "istio.security.Authorization",
};

type Named = ReadonlyMap<string, Uint8Array>;

function recorded(name: string, type: MessageName): Named {
  const bytes = readFileSync(join(root, name, "ztunnel", `${type}.binpb`));
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return new Map(
    resources.map((one) => [one.name, one.resource?.value ?? new Uint8Array()] as const),
  );
}

function ours(name: string): Readonly<Record<MessageName, Named>> {
  const state = translate(readFileSync(join(root, name, "input.yaml"), "utf8"));
  return {
    Address: new Map([
      ...[...state.workloads].map(([key, one]) => [key, encodeWorkloadAddress(one)] as const),
      ...[...state.services].map(([key, one]) => [key, encodeServiceAddress(one)] as const),
    ]),
    Authorization: new Map([...state.policies].map(([key, one]) => [key, encodePolicy(one)])),
  };
}

test("protoc is installed", { skip: missing }, (context) => context.diagnostic(`peer: ${version}`));

describe("protoc reads what we write", { skip: missing }, () => {
  let dir: string;

  before(() => {
    dir = mkdtempSync(join(tmpdir(), "ambit-protoc-"));
    mkdirSync(join(dir, "google/protobuf"), { recursive: true });
    for (const [file, text] of Object.entries(wellKnown))
      writeFileSync(
        join(dir, "google/protobuf", file),
        `syntax = "proto3"; package google.protobuf; ${text}`,
      );
    for (const [name, file] of Object.entries(messages))
      writeFileSync(
        join(dir, `${name}.proto`),
        `syntax = "proto3"; import "${file}"; message ${name}List { repeated ${fullNames[name as MessageName]} items = 1; }`,
      );
  });

  after(() => rmSync(dir, { recursive: true }));

  /** All resources in the order of their names, as one list: a process for each would take its time. */
  const printed = (type: MessageName, resources: Named): string => {
    const sorted = [...resources].sort(([a], [b]) => (a < b ? -1 : 1));
    // A bytes field with number 1 has the form of a message field with number 1.
    const input = Buffer.concat(
      sorted.map(([, value]) => toBinary(BytesValueSchema, create(BytesValueSchema, { value }))),
    );
    const args = [`-I${dir}`, `-I${protos}`, `--decode=${type}List`, `${type}.proto`];
    return execFileSync("protoc", args, { input, encoding: "utf8" });
  };

  for (const name of cases)
    test(name, () => {
      const own = ours(name);
      for (const type of ["Address", "Authorization"] as const) {
        const reference = recorded(name, type);
        assert.deepEqual([...own[type].keys()].sort(), [...reference.keys()].sort());
        const text = printed(type, own[type]);
        assert.equal(text.match(/^items \{/gm)?.length ?? 0, reference.size);
        assert.equal(text, printed(type, reference));
        // protoc prints a field that it does not know by its number.
        assert.doesNotMatch(text, /^\s*\d+(:| \{)/m);
      }
    });
});
