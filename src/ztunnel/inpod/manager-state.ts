/**
 * What the workload manager knows and what it does next, as a pure step function (wire/ztunnel.md section 3.4). The shell
 * (workload-manager.ts) feeds it one input after the other and carries out the effects in order.
 *
 * `starting` is a state of its own: while a proxy starts, nothing else may come in but the result of that start.
 */
import type { NetworkNamespace } from "../../shared/os/network-namespace.ts";
import type { WorkloadInfo } from "../../shared/zds/messages.ts";

/** A pod as announced. The namespace is owned by whoever holds this record last; effects say when to close it. */
export interface PodRecord {
  readonly uid: string;
  readonly info: WorkloadInfo;
  readonly namespace: NetworkNamespace;
}

type LinkState =
  /** The last snapshot's set is of no use any more; proxies keep running. */
  | { readonly kind: "disconnected" }
  | { readonly kind: "snapshot"; readonly named: ReadonlySet<string> }
  | { readonly kind: "synced" };

type Activity =
  | { readonly kind: "idle" }
  | { readonly kind: "starting"; readonly pod: PodRecord; readonly reason: StartReason };

type StartReason =
  | { readonly kind: "requested" }
  /** These pending pods come next. */
  | { readonly kind: "retried"; readonly rest: readonly string[] };

export interface ManagerState {
  readonly link: LinkState;
  readonly running: ReadonlyMap<string, PodRecord>;
  /** Announced, but their proxy did not start; tried again every few seconds. */
  readonly pending: ReadonlyMap<string, PodRecord>;
  readonly activity: Activity;
}

export type ManagerInput =
  | { readonly kind: "connected" }
  | { readonly kind: "disconnected" }
  | { readonly kind: "add"; readonly pod: PodRecord }
  | { readonly kind: "add-without-info" }
  | { readonly kind: "keep"; readonly uid: string }
  | { readonly kind: "delete"; readonly uid: string }
  | { readonly kind: "snapshot-sent" }
  | { readonly kind: "retry-due" }
  | { readonly kind: "started" }
  | { readonly kind: "start-failed"; readonly reason: string };

export type ManagerEffect =
  | { readonly kind: "start"; readonly pod: PodRecord }
  /** Cut the running proxy of this pod, then close its namespace. */
  | { readonly kind: "stop"; readonly pod: PodRecord }
  /** Nobody uses this handle any more. */
  | { readonly kind: "close"; readonly namespace: NetworkNamespace }
  | { readonly kind: "answer"; readonly error: string | undefined }
  /** The other side breaks the protocol: answer, then end the process. */
  | { readonly kind: "fail"; readonly reason: string };

export interface Step {
  readonly state: ManagerState;
  readonly effects: readonly ManagerEffect[];
}

export const initialState: ManagerState = {
  link: { kind: "disconnected" },
  running: new Map(),
  pending: new Map(),
  activity: { kind: "idle" },
};

/** Ready: the snapshot is complete and every announced pod has its proxy. */
export function isReady(state: ManagerState): boolean {
  return state.link.kind === "synced" && state.pending.size === 0;
}

const success: ManagerEffect = { kind: "answer", error: undefined };

/** Throws when an input cannot come in this state: an error of the shell, not of the peer. */
export function step(state: ManagerState, input: ManagerInput): Step {
  if (state.activity.kind === "starting") {
    if (input.kind === "started" || input.kind === "start-failed")
      return finishStart(state, state.activity.pod, state.activity.reason, input);
    throw new Error(`input ${input.kind} while a proxy starts`);
  }
  switch (input.kind) {
    case "connected":
      return {
        state: { ...state, link: { kind: "snapshot", named: new Set() }, pending: new Map() },
        effects: [...state.pending.values()].map(closing),
      };
    case "disconnected":
      return { state: { ...state, link: { kind: "disconnected" } }, effects: [] };
    case "add":
      return add(state, input.pod);
    case "add-without-info":
      return { state, effects: [{ kind: "fail", reason: "add without workload info" }] };
    case "keep":
      return keep(state, input.uid);
    case "delete":
      return remove(state, input.uid);
    case "snapshot-sent":
      return completeSnapshot(state);
    case "retry-due":
      return startNext(state, [...state.pending.keys()]);
    case "started":
    case "start-failed":
      throw new Error(`input ${input.kind} while no proxy starts`);
  }
}

function closing(owner: { readonly namespace: NetworkNamespace }): ManagerEffect {
  return { kind: "close", namespace: owner.namespace };
}

function add(before: ManagerState, pod: PodRecord): Step {
  const state = named(before, pod.uid);
  const current = state.running.get(pod.uid);
  if (current?.namespace.sameAs(pod.namespace)) return { state, effects: [closing(pod), success] };
  const effects: ManagerEffect[] = [];
  const waiting = state.pending.get(pod.uid);
  if (waiting !== undefined) effects.push(closing(waiting));
  if (current !== undefined) effects.push({ kind: "stop", pod: current });
  effects.push({ kind: "start", pod });
  return {
    state: {
      ...state,
      running: without(state.running, pod.uid),
      pending: without(state.pending, pod.uid),
      activity: { kind: "starting", pod, reason: { kind: "requested" } },
    },
    effects,
  };
}

function keep(state: ManagerState, uid: string): Step {
  if (state.link.kind !== "snapshot")
    return { state, effects: [{ kind: "fail", reason: "keep after the snapshot" }] };
  return { state: named(state, uid), effects: [success] };
}

function remove(state: ManagerState, uid: string): Step {
  const effects: ManagerEffect[] = [];
  const waiting = state.pending.get(uid);
  if (waiting !== undefined) effects.push(closing(waiting));
  const pending = without(state.pending, uid);
  if (state.link.kind === "snapshot") {
    // A running proxy stays until the snapshot is complete, like any other that was not named.
    const named = new Set(state.link.named);
    named.delete(uid);
    const link: LinkState = { kind: "snapshot", named };
    return { state: { ...state, link, pending }, effects: [...effects, success] };
  }
  const current = state.running.get(uid);
  if (current !== undefined) effects.push({ kind: "stop", pod: current });
  const running = without(state.running, uid);
  return { state: { ...state, running, pending }, effects: [...effects, success] };
}

function completeSnapshot(state: ManagerState): Step {
  if (state.link.kind !== "snapshot")
    return { state, effects: [{ kind: "fail", reason: "second end of the snapshot" }] };
  const { named } = state.link;
  const gone = [...state.running.values()].filter((pod) => !named.has(pod.uid));
  const running = new Map([...state.running].filter(([uid]) => named.has(uid)));
  const stops = gone.map((pod): ManagerEffect => ({ kind: "stop", pod }));
  return { state: { ...state, link: { kind: "synced" }, running }, effects: [...stops, success] };
}

function startNext(state: ManagerState, uids: readonly string[]): Step {
  const [uid, ...rest] = uids;
  const pod = uid === undefined ? undefined : state.pending.get(uid);
  if (pod === undefined) return { state: { ...state, activity: { kind: "idle" } }, effects: [] };
  return {
    state: {
      ...state,
      pending: without(state.pending, pod.uid),
      activity: { kind: "starting", pod, reason: { kind: "retried", rest } },
    },
    effects: [{ kind: "start", pod }],
  };
}

function finishStart(
  state: ManagerState,
  pod: PodRecord,
  reason: StartReason,
  result: { readonly kind: "started" } | { readonly kind: "start-failed"; readonly reason: string },
): Step {
  const settled: ManagerState =
    result.kind === "started"
      ? { ...state, running: new Map(state.running).set(pod.uid, pod), activity: { kind: "idle" } }
      : { ...state, pending: new Map(state.pending).set(pod.uid, pod), activity: { kind: "idle" } };
  if (reason.kind === "retried") return startNext(settled, reason.rest);
  const error = result.kind === "started" ? undefined : `failure to start proxy : ${result.reason}`;
  return { state: settled, effects: [{ kind: "answer", error }] };
}

/** Remembers during a snapshot that this connection named the pod. */
function named(state: ManagerState, uid: string): ManagerState {
  if (state.link.kind !== "snapshot") return state;
  return { ...state, link: { kind: "snapshot", named: new Set(state.link.named).add(uid) } };
}

function without<V>(map: ReadonlyMap<string, V>, key: string): ReadonlyMap<string, V> {
  if (!map.has(key)) return map;
  const next = new Map(map);
  next.delete(key);
  return next;
}
