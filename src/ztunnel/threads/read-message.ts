/** Reads messages between threads: of a known kind, with exactly its fields, each of its type. Anything else throws. */
import { KeyObject } from "node:crypto";
import { errorCodes } from "../../shared/base/errors.ts";
import type {
  FromThread,
  MainAnswers,
  MainRequest,
  ThreadAnswers,
  ThreadRequest,
  ToThread,
} from "./messages.ts";

type Check = (value: unknown) => boolean;

/** One check a field; the compiler sees to it that none is missing. */
type Shape<T> = { readonly [K in Exclude<keyof T, "kind">]-?: Check };
type Shapes<T extends { readonly kind: string }> = {
  readonly [K in T["kind"]]: Shape<Extract<T, { readonly kind: K }>>;
};

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const text: Check = (value) => typeof value === "string";
const truth: Check = (value) => typeof value === "boolean";
const list: Check = (value) => Array.isArray(value);
const nothing: Check = (value) => value === null;
const count: Check = (value) => Number.isSafeInteger(value) && Number(value) >= 0;
const amount: Check = (value) => typeof value === "number" && Number.isFinite(value) && value >= 0;

function oneOf(...values: readonly string[]): Check {
  return (value) => values.some((known) => known === value);
}

/** Exactly these fields; those in `optional` may be missing. */
function fields(shape: Readonly<Record<string, Check>>, optional: readonly string[] = []): Check {
  return (value) =>
    isFields(value) &&
    Object.keys(value).every((name) => Object.hasOwn(shape, name)) &&
    Object.entries(shape).every(([name, check]) =>
      Object.hasOwn(value, name) ? check(value[name]) : optional.includes(name),
    );
}

function union(shapes: Readonly<Record<string, Readonly<Record<string, Check>>>>): Check {
  const kinds = new Map(
    Object.entries(shapes).map(([kind, shape]) => [
      kind,
      fields({ ...shape, kind: (value) => value === kind }),
    ]),
  );
  return (value) => isFields(value) && kinds.get(String(value["kind"]))?.(value) === true;
}

const identity = fields({ trustDomain: text, namespace: text, serviceAccount: text });
const podInfo = fields({ name: text, namespace: text, serviceAccount: text });
const socketAddress = fields({ ip: text, port: count });
const parcel = fields({
  identity,
  chain: text,
  roots: text,
  key: (value) => value instanceof KeyObject && value.type === "private",
});

const accepted = union({
  session: { fd: count, peer: socketAddress },
  captured: { fd: count, peer: socketAddress },
});

const update = fields(
  {
    addresses: list,
    removedAddresses: list,
    policies: list,
    refusedPolicies: list,
    removedPolicies: list,
  },
  ["addresses", "removedAddresses", "policies", "refusedPolicies", "removedPolicies"],
);

const threadRequests: Shapes<ThreadRequest> = {
  "start-pod": {
    pod: count,
    info: podInfo,
    place: union({ host: {}, namespace: { fd: count, label: text } }),
    board: (value) => value instanceof SharedArrayBuffer,
  },
  "drain-pod": { pod: count, deadlineMs: amount },
  serves: { pod: count, peer: socketAddress },
  metrics: {},
  connections: {},
  decisions: { count },
};

const mainRequests: Shapes<MainRequest> = {
  certificate: { identity, priority: oneOf("background", "warmup", "real-time") },
  demand: { key: text },
};

const answer = {
  call: count,
  outcome: union({
    done: { value: () => true },
    failed: { code: oneOf(...errorCodes), message: text },
  }),
};

const toThread: Shapes<ToThread> = {
  update: { update },
  certificate: { certificate: parcel },
  "certificate-gone": { identity },
  "log-filter": { directives: text },
  "stop-pod": { pod: count },
  take: { pod: count, accepted },
  settle: {},
  end: {},
  call: { call: count, request: union(threadRequests) },
  answer,
};

const fromThread: Shapes<FromThread> = {
  up: {},
  lines: { text },
  "hand-over": { pod: count, thread: count, accepted },
  call: { call: count, request: union(mainRequests) },
  answer,
};

const isToThread = union(toThread);
const isFromThread = union(fromThread);

const threadAnswers: { readonly [K in keyof ThreadAnswers]: Check } = {
  "start-pod": nothing,
  "drain-pod": nothing,
  serves: truth,
  metrics: list,
  connections: list,
  decisions: list,
};

const mainAnswers: { readonly [K in keyof MainAnswers]: Check } = {
  certificate: parcel,
  demand: nothing,
};

function refuse(what: string, value: unknown): never {
  // Never the value itself: it may hold a key.
  const kind = isFields(value) && typeof value["kind"] === "string" ? ` "${value["kind"]}"` : "";
  throw new TypeError(`${what}${kind} is not one of ours`);
}

export function readToThread(value: unknown): ToThread {
  return isToThread(value) ? (value as ToThread) : refuse("message to a thread", value);
}

export function readFromThread(value: unknown): FromThread {
  return isFromThread(value) ? (value as FromThread) : refuse("message of a thread", value);
}

export function readThreadAnswer<K extends keyof ThreadAnswers>(
  kind: K,
  value: unknown,
): ThreadAnswers[K] {
  return threadAnswers[kind](value)
    ? (value as ThreadAnswers[K])
    : refuse(`answer to ${kind}`, value);
}

export function readMainAnswer<K extends keyof MainAnswers>(
  kind: K,
  value: unknown,
): MainAnswers[K] {
  return mainAnswers[kind](value) ? (value as MainAnswers[K]) : refuse(`answer to ${kind}`, value);
}
