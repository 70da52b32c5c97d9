/**
 * What the main thread and the other threads of the data path say to each other. Both ends are one build of one program, so
 * there are no versions; reading is strict all the same, because a message that is taken for another one could mean that a
 * policy or the end of a pod is missed.
 */
import type { KeyObject } from "node:crypto";
import type { ErrorCode } from "../../shared/base/errors.ts";
import type { FetchPriority } from "../../shared/identity/secret-source.ts";
import type { SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { MeshUpdate } from "../../shared/model/mesh-update.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import type { FamilySnapshot } from "../../shared/telemetry/metrics.ts";
import type { PodInfo } from "../inpod/pod-proxy.ts";
import type { ConnectionDetails } from "../proxy/connections.ts";
import type { DecisionRecord } from "../proxy/decisions.ts";
import type { Direction } from "../telemetry/access-log.ts";

/** A certificate on its way; the key travels as a handle, so no message and no dump ever has its octets. */
export interface CertificateParcel {
  readonly identity: SpiffeIdentity;
  /** PEM: the leaf, then the intermediates. */
  readonly chain: string;
  /** PEM. */
  readonly roots: string;
  readonly key: KeyObject;
}

/** Where a pod's sockets are made. The descriptor belongs to the thread that gets it. */
export type PodPlace =
  | { readonly kind: "host" }
  | { readonly kind: "namespace"; readonly fd: number; readonly label: string };

/** A connection from which nothing has been read. */
export interface Accepted {
  /** On the HBONE port, or from the pod's application. */
  readonly kind: "session" | "captured";
  readonly fd: number;
  readonly peer: SocketAddress;
}

/** Asked of a thread. `pod` is a number that no two starts share. */
export type ThreadRequest =
  | {
      readonly kind: "start-pod";
      readonly pod: number;
      readonly info: PodInfo;
      readonly place: PodPlace;
      readonly board: SharedArrayBuffer;
    }
  | { readonly kind: "drain-pod"; readonly pod: number; readonly deadlineMs: number }
  /** Whether the HBONE connection from this address is served there. */
  | { readonly kind: "serves"; readonly pod: number; readonly peer: SocketAddress }
  | { readonly kind: "metrics" }
  | { readonly kind: "connections" }
  | { readonly kind: "decisions"; readonly count: number };

/** An open connection as the dump shows it. */
export interface ConnectionView {
  readonly direction: Direction;
  readonly details: ConnectionDetails;
}

export interface PodConnections {
  readonly pod: number;
  readonly connections: readonly ConnectionView[];
}

export interface ThreadAnswers {
  readonly "start-pod": null;
  readonly "drain-pod": null;
  readonly serves: boolean;
  readonly metrics: readonly FamilySnapshot[];
  readonly connections: readonly PodConnections[];
  readonly decisions: readonly DecisionRecord[];
}

/** Asked of the main thread. */
export type MainRequest =
  | {
      readonly kind: "certificate";
      readonly identity: SpiffeIdentity;
      readonly priority: FetchPriority;
    }
  /** XDS_ON_DEMAND: answered when the control plane has answered for this key. */
  | { readonly kind: "demand"; readonly key: string };

export interface MainAnswers {
  readonly certificate: CertificateParcel;
  readonly demand: null;
}

export type Outcome =
  | { readonly kind: "done"; readonly value: unknown }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string };

interface Call<Request> {
  readonly kind: "call";
  readonly call: number;
  readonly request: Request;
}

interface Answer {
  readonly kind: "answer";
  readonly call: number;
  readonly outcome: Outcome;
}

export type ToThread =
  | { readonly kind: "update"; readonly update: MeshUpdate }
  | { readonly kind: "certificate"; readonly certificate: CertificateParcel }
  /** Not kept any more: to be asked for again when it is needed. */
  | { readonly kind: "certificate-gone"; readonly identity: SpiffeIdentity }
  | { readonly kind: "log-filter"; readonly directives: string }
  | { readonly kind: "stop-pod"; readonly pod: number }
  /** An accepted connection to be served; the descriptor belongs to the thread that gets it. */
  | { readonly kind: "take"; readonly pod: number; readonly accepted: Accepted }
  /** The state is complete for now: a good moment to collect the garbage of the start. */
  | { readonly kind: "settle" }
  | { readonly kind: "end" }
  | Call<ThreadRequest>
  | Answer;

export type FromThread =
  | { readonly kind: "up" }
  /** Whole lines of the log. */
  | { readonly kind: "lines"; readonly text: string }
  /** An accepted connection that another thread shall serve. */
  | {
      readonly kind: "hand-over";
      readonly pod: number;
      readonly thread: number;
      readonly accepted: Accepted;
    }
  | Call<MainRequest>
  | Answer;
