/** What the demo asks of an application in a pod, over the message channel of its process, and what it gets back. */

/** Stands in every payload of the applications, so that an observer of the wire can tell whether it is readable. */
export const CLEAR_TEXT_MARK = "ambit-clear-text";

export const HTTP_PORT = 8080;
/** Sends back what it receives, honoring half-close. */
export const ECHO_PORT = 9000;
/** Accepts and never reads. */
export const STALL_PORT = 9001;
/** Speaks first. */
export const DATABASE_PORT = 5432;

export interface Target {
  readonly host: string;
  readonly port: number;
}

/** The answer of every application to an HTTP request. */
export interface Greeting {
  readonly mark: string;
  readonly app: string;
  readonly version: string;
  readonly pod: string;
  /** The address from which the application saw the request come. */
  readonly clientIp: string;
}

export interface GetResult {
  readonly greeting: Greeting;
  readonly tookMs: number;
}

export interface TransferResult {
  readonly bytes: number;
  readonly sentSha256: string;
  readonly receivedSha256: string;
  readonly tookMs: number;
}

export interface LoadFailure {
  /** When it began, on the clock of the wall. */
  readonly startedAtMs: number;
  readonly target: string;
  readonly reason: string;
}

export interface LoadResult {
  readonly ok: number;
  readonly failed: number;
  readonly failures: readonly LoadFailure[];
  readonly longestMs: number;
  /** Successful answers by pod. */
  readonly byPod: Readonly<Record<string, number>>;
}

export interface SessionEnd {
  readonly session: string;
  readonly reason: string;
}

/** Input and output of every call. */
export interface AppCalls {
  /** One HTTP request on a connection of its own. */
  readonly get: {
    readonly input: Target & { readonly timeoutMs?: number };
    readonly output: GetResult;
  };
  /** Sends bytes to an echo port and compares what comes back. */
  readonly transfer: {
    readonly input: Target & { readonly bytes: number };
    readonly output: TransferResult;
  };
  /** Opens a connection on which the server speaks first; it stays open under this name. */
  readonly open: {
    readonly input: Target & { readonly session: string };
    readonly output: { readonly greeting: string; readonly localPort: number };
  };
  /** One question and answer on an open session. */
  readonly ask: {
    readonly input: { readonly session: string; readonly question: string };
    readonly output: { readonly answer: string };
  };
  readonly close: { readonly input: { readonly session: string }; readonly output: null };
  /** Requests at a steady rate, each on a connection of its own, until `loadEnd`. */
  readonly loadStart: {
    readonly input: {
      readonly load: string;
      readonly targets: readonly Target[];
      readonly perSecond: number;
    };
    readonly output: null;
  };
  readonly loadEnd: { readonly input: { readonly load: string }; readonly output: LoadResult };
  /** So many connections, each with one short exchange, so many at a time. */
  readonly churn: {
    readonly input: Target & { readonly connections: number; readonly concurrency: number };
    readonly output: LoadResult & { readonly medianMs: number };
  };
  /** Writes to a peer until nothing more is taken for a while; the connection stays open under this name. */
  readonly flood: {
    readonly input: Target & {
      readonly session: string;
      readonly quietMs: number;
      readonly maxBytes: number;
    };
    readonly output: { readonly bytes: number; readonly blocked: boolean };
  };
  readonly resolve: {
    readonly input: { readonly name: string };
    readonly output: { readonly addresses: readonly string[] };
  };
}

export type CallName = keyof AppCalls;

export interface CallMessage<K extends CallName = CallName> {
  readonly id: number;
  readonly call: K;
  readonly input: AppCalls[K]["input"];
}

export type AppMessage =
  | { readonly kind: "ready" }
  | { readonly kind: "answer"; readonly id: number; readonly output: unknown }
  | { readonly kind: "failure"; readonly id: number; readonly reason: string }
  | { readonly kind: "session-end"; readonly end: SessionEnd }
  | {
      readonly kind: "request";
      readonly from: string;
      readonly to: string;
      readonly ok: boolean;
      readonly reason: string;
    };

/** Who the application is; its command line. */
export interface AppConfig {
  readonly app: string;
  readonly version: string;
  readonly pod: string;
}
