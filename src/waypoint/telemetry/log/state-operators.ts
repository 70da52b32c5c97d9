/** Operators about what filters left behind, about the configuration, and expressions. */
import { filterStateText } from "../cel/attributes.ts";
import { compileExpression } from "../cel/expression.ts";
import { printValue } from "../cel/print.ts";
import { peerField } from "../peer.ts";
import type { PeerWorkload, StreamRecord } from "../record.ts";
import type { Operator } from "./format.ts";
import { cut, type OperatorMaker, type OperatorTable } from "./operator-kinds.ts";

/** `namespace:key:key`. */
type MetadataSource = (record: StreamRecord, namespace: string) => unknown;

const dynamicMetadata: MetadataSource = ({ metadata }, namespace) => metadata.get(namespace);

/** Of the cluster only what names its service is kept. */
const clusterMetadata: MetadataSource = ({ upstream }, namespace) =>
  namespace === "istio" && upstream?.service !== undefined
    ? { services: [upstream.service] }
    : undefined;

/** Of the endpoint its address in the mesh. */
const hostMetadata: MetadataSource = ({ upstream }, namespace) =>
  namespace === "envoy.filters.listener.original_dst" && upstream?.address !== undefined
    ? { local: upstream.address }
    : undefined;

const nothing: MetadataSource = () => undefined;

function descend(value: unknown, keys: readonly string[]): unknown {
  let at = value;
  for (const key of keys) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return undefined;
    at = (at as Readonly<Record<string, unknown>>)[key];
  }
  return at === null ? undefined : at;
}

function metadataOperator(source: MetadataSource, argument: string, maxLength?: number): Operator {
  const [namespace = "", ...keys] = argument.split(":");
  if (namespace === "") throw new Error("the namespace is missing");
  const read = (record: StreamRecord): unknown => descend(source(record, namespace), keys);
  return {
    text: (record) => {
      const value = read(record);
      if (value === undefined) return undefined;
      return cut(typeof value === "string" ? value : JSON.stringify(value), maxLength);
    },
    json: (record) => JSON.stringify(read(record)),
  };
}

function metadata(source: MetadataSource): OperatorMaker {
  return {
    argument: "required",
    length: true,
    make: (argument, maxLength) => metadataOperator(source, argument, maxLength),
  };
}

const metadataSources: Readonly<Record<string, MetadataSource>> = {
  DYNAMIC: dynamicMetadata,
  CLUSTER: clusterMetadata,
  UPSTREAM_HOST: hostMetadata,
  ROUTE: nothing,
  VIRTUAL_HOST: nothing,
  LISTENER: nothing,
  LISTENER_FILTER_CHAIN: nothing,
};

/** `TYPE:namespace:key`. */
const anyMetadata: OperatorMaker = {
  argument: "required",
  length: true,
  make: (argument, maxLength) => {
    const colon = argument.indexOf(":");
    const kind = argument.slice(0, Math.max(0, colon));
    const source = Object.hasOwn(metadataSources, kind) ? metadataSources[kind] : undefined;
    if (source === undefined)
      throw new Error(`expected one of ${Object.keys(metadataSources).join(", ")} before a colon`);
    return metadataOperator(source, argument.slice(colon + 1), maxLength);
  },
};

function peerOf(record: StreamRecord, key: string): PeerWorkload | undefined {
  if (key === "downstream_peer_obj" || key === "downstream_peer") return record.source;
  return key === "upstream_peer_obj" || key === "upstream_peer" ? record.upstream?.peer : undefined;
}

const PEER_FIELDS =
  "type workload name cluster namespace service revision app version region availability_zone".split(
    " ",
  );

/** Filled fields, in the reference's order. */
function peerPairs(peer: PeerWorkload): readonly (readonly [string, string])[] {
  return PEER_FIELDS.map((name) => [name, peerField(name)?.(peer) ?? ""] as const).filter(
    ([name, value]) => value !== "" && !(name === "type" && value === "unknown"),
  );
}

function plainState(record: StreamRecord, key: string): string | undefined {
  const peer = key.endsWith("_obj") ? peerOf(record, key) : undefined;
  if (peer === undefined) return filterStateText(record.downstream, key);
  return peerPairs(peer)
    .map(([name, value]) => `${name}=${value}`)
    .join(",");
}

function typedState(record: StreamRecord, key: string): string | undefined {
  const peer = peerOf(record, key);
  if (peer !== undefined) return JSON.stringify(Object.fromEntries(peerPairs(peer)));
  const value = filterStateText(record.downstream, key);
  return value === undefined ? undefined : JSON.stringify(value);
}

/** `key`, `key:PLAIN`, `key:TYPED` or `key:FIELD:name`. */
const filterState: OperatorMaker = {
  argument: "required",
  length: true,
  make: (argument, maxLength): Operator => {
    const [key = "", form = "TYPED", name = "", ...more] = argument.split(":");
    if (key === "" || more.length > 0) throw new Error("expected KEY, KEY:PLAIN or KEY:FIELD:NAME");
    if (!["PLAIN", "TYPED", "FIELD"].includes(form))
      throw new Error("the form is PLAIN, TYPED or FIELD");
    if ((form === "FIELD") !== (name !== ""))
      throw new Error("FIELD needs a name, others have none");
    if (form === "FIELD") {
      const field = peerField(name);
      return {
        text: (record) => {
          const peer = key.endsWith("_obj") ? peerOf(record, key) : undefined;
          return cut(peer && field?.(peer), maxLength);
        },
      };
    }
    if (form === "PLAIN") return { text: (record) => cut(plainState(record, key), maxLength) };
    return {
      text: (record) => cut(typedState(record, key), maxLength),
      json: (record) => typedState(record, key),
    };
  },
};

const environmentVariable: OperatorMaker = {
  argument: "required",
  length: true,
  make: (name, maxLength, environment) => {
    const value = cut(environment.variable(name), maxLength) ?? "-";
    return { text: () => value };
  },
};

const hostname: OperatorMaker = {
  argument: "none",
  length: false,
  make: (_, __, { proxy }) => ({ text: () => proxy.hostname || undefined }),
};

const expression: OperatorMaker = {
  argument: "required",
  length: true,
  make: (source, maxLength) => {
    const compiled = compileExpression(source);
    return {
      text: (record) => {
        const value = compiled.evaluate(record);
        return value === undefined ? undefined : cut(printValue(value), maxLength);
      },
    };
  },
};

export const stateOperators: OperatorTable = {
  DYNAMIC_METADATA: metadata(dynamicMetadata),
  CLUSTER_METADATA: metadata(clusterMetadata),
  UPSTREAM_METADATA: metadata(hostMetadata),
  METADATA: anyMetadata,
  FILTER_STATE: filterState,
  UPSTREAM_FILTER_STATE: filterState,
  ENVIRONMENT: environmentVariable,
  HOSTNAME: hostname,
  CEL: expression,
};
