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

/** After the answer to this path the application closes the connection, so that whoever carried it logs it. */
export const LAST_PATH = "/last";

/** `/stream/<bytes>` is answered with so many. */
export const STREAM_PATH = "/stream/";

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
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** How an application answers HTTP requests from now on. */
export interface Behavior {
  /** Other than 200: it fails with this. */
  readonly status: number;
  readonly delayMs: number;
}

/** A request that an application got. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface RequestSpec extends Target {
  readonly method?: string;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  readonly timeoutMs?: number;
}

/** Any answer, also one that is no greeting. */
export interface Reply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Undefined when somebody else answered in the application's place. */
  readonly greeting: Greeting | undefined;
  readonly tookMs: number;
}

export interface BurstResult {
  readonly byStatus: Readonly<Record<string, number>>;
  /** Answers of status 200 by pod. */
  readonly byPod: Readonly<Record<string, number>>;
  /** Requests without an answer, in words. */
  readonly failures: readonly string[];
  readonly longestMs: number;
  readonly tookMs: number;
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
  /** One HTTP request of any kind, on a connection of its own; whatever is answered is the output. */
  readonly request: { readonly input: RequestSpec; readonly output: Reply };
  /** So many requests over kept connections, so many at a time. */
  readonly burst: {
    readonly input: RequestSpec & { readonly count: number; readonly concurrency: number };
    readonly output: BurstResult;
  };
  /** Reads a long answer with a pause after every so many bytes. */
  readonly download: {
    readonly input: Target & {
      readonly bytes: number;
      readonly pauseEveryBytes: number;
      readonly pauseMs: number;
    };
    readonly output: { readonly bytes: number; readonly tookMs: number };
  };
  readonly behave: { readonly input: Behavior; readonly output: null };
  /** The latest requests whose path begins so, oldest first. */
  readonly seen: {
    readonly input: { readonly path: string };
    readonly output: { readonly requests: readonly SeenRequest[] };
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
  /** Requests at a steady rate, each on a connection of its own unless they are kept, until `loadEnd`. */
  readonly loadStart: {
    readonly input: {
      readonly load: string;
      readonly targets: readonly Target[];
      readonly perSecond: number;
      readonly keepAlive?: boolean;
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
