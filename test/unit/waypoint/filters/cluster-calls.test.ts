/** Filters' own calls over a cluster that does what the test says. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { ClusterCalls } from "../../../../src/waypoint/filters/cluster-calls.ts";
import { frameMessage } from "../../../../src/waypoint/filters/grpc-unary.ts";
import { Fields, type RequestHead } from "../../../../src/waypoint/http/message.ts";
import type { BodyWriter, ResetReason } from "../../../../src/waypoint/http/stream.ts";
import type {
  AttemptOutcome,
  Cluster,
  Endpoint,
  Picked,
  UpstreamReceiver,
} from "../../../../src/waypoint/upstream/upstream.ts";
import { FakeClock } from "../../../support/clock.ts";

const endpoint: Endpoint = {
  address: "10.0.0.1:80",
  ip: "10.0.0.1",
  port: 80,
  hostText: "10.0.0.1:80",
  peer: undefined,
};

/** Keeps what it was given; the test answers through `receiver`. */
class OneEndpoint implements Cluster, BodyWriter {
  readonly name = "authz";
  readonly service = undefined;
  picked: Picked = { kind: "endpoint", endpoint };
  /** Runs inside of `request`, before it returns. */
  atOnce: (receiver: UpstreamReceiver) => void = () => undefined;
  requestHead: RequestHead | undefined;
  receiver: UpstreamReceiver | undefined;
  sent = "";
  ended = false;
  resets: ResetReason[] = [];
  outcomes: AttemptOutcome[] = [];

  tryStartRetry(): undefined {
    return undefined;
  }

  pick(): Picked {
    return this.picked;
  }

  request(
    _endpoint: Endpoint,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
  ): BodyWriter {
    this.requestHead = head;
    this.receiver = receiver;
    this.ended = endStream;
    this.atOnce(receiver);
    return this;
  }

  connect(): Promise<never> {
    return Promise.reject(new Error("not asked for"));
  }

  report(_endpoint: Endpoint, outcome: AttemptOutcome): void {
    this.outcomes.push(outcome);
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    this.sent += bytes.toString("latin1", start, end);
    return true;
  }

  end(): void {
    this.ended = true;
  }

  reset(reason: ResetReason): void {
    this.resets.push(reason);
  }

  resume(): void {
    // Nothing is paused.
  }
}

function stage() {
  const cluster = new OneEndpoint();
  const clock = new FakeClock();
  const calls = new ClusterCalls(
    { get: (name) => (name === "authz" ? cluster : undefined) },
    clock,
  );
  const http = (more: object = {}) =>
    calls.http({
      cluster: "authz",
      authority: "authz.example",
      timeoutMs: 1_000,
      method: "GET",
      path: "/check",
      fields: [["x-a", "1"]],
      maxAnswerBytes: 10,
      ...more,
    });
  const unary = (more: object = {}) =>
    calls.unary({
      cluster: "authz",
      authority: "authz.example",
      timeoutMs: 1_000,
      service: "s.S",
      method: "M",
      metadata: [["x-m", "1"]],
      message: Buffer.from("ask"),
      maxAnswerBytes: 10,
      ...more,
    });
  return { cluster, clock, http, unary };
}

function answer(receiver: UpstreamReceiver | undefined, status: number, ...chunks: string[]): void {
  receiver?.head({ status, fields: new Fields(["x-b", "2"]) }, chunks.length === 0);
  for (const chunk of chunks) {
    const bytes = Buffer.from(`<${chunk}>`);
    receiver?.body(bytes, 1, bytes.length - 1);
    // Octets are valid only during the call.
    bytes.fill(0);
  }
  if (chunks.length > 0) receiver?.end(undefined);
}

test("an answer is collected, and the endpoint gets its report", async () => {
  const { cluster, clock, http } = stage();
  const outcome = http();
  answer(cluster.receiver, 200, "ab", "cd");
  assert.deepEqual(await outcome, {
    kind: "answer",
    answer: { status: 200, fields: [["x-b", "2"]], body: Buffer.from("abcd") },
  });
  assert.deepEqual(cluster.requestHead?.fields.flat, ["x-a", "1"]);
  assert.equal(cluster.requestHead?.authority, "authz.example");
  assert.equal(cluster.ended, true);
  assert.deepEqual(cluster.outcomes, [{ kind: "status", status: 200, grpcStatus: undefined }]);
  assert.equal(clock.pending, 0);
});

test("a body is sent with its length", async () => {
  const { cluster, http } = stage();
  const outcome = http({ method: "POST", body: Buffer.from("hello") });
  assert.equal(cluster.sent, "hello");
  assert.equal(cluster.requestHead?.fields.get("content-length"), "5");
  answer(cluster.receiver, 204);
  assert.equal((await outcome).kind, "answer");
});

test("answers inside of the request are taken", async () => {
  const { cluster, http } = stage();
  cluster.atOnce = (receiver) => answer(receiver, 200, "x");
  assert.equal((await http({ method: "POST", body: Buffer.from("y") })).kind, "answer");
  assert.equal(cluster.sent, "");
});

/** How a call fails: what happens, and the reason that comes of it. */
const failures: readonly {
  readonly name: string;
  readonly happens: (s: ReturnType<typeof stage>) => void | Promise<void>;
  readonly reason: string;
  readonly cut?: boolean;
}[] = [
  {
    name: "no connection",
    happens: ({ cluster }) =>
      cluster.receiver?.unavailable({ kind: "connect-failed", reason: "refused" }),
    reason: "unavailable",
  },
  {
    name: "reset",
    happens: ({ cluster }) => cluster.receiver?.reset({ kind: "remote-reset" }),
    reason: "reset",
  },
  {
    name: "half an answer, then reset",
    happens: ({ cluster }) => {
      cluster.receiver?.head({ status: 200, fields: new Fields() }, false);
      cluster.receiver?.reset({ kind: "connection-lost", detail: "gone", reused: false });
    },
    reason: "reset",
  },
  {
    name: "silence",
    happens: ({ clock }) => clock.advance(1_000),
    reason: "timeout",
    cut: true,
  },
  {
    name: "half an answer, then silence",
    happens: async ({ cluster, clock }) => {
      cluster.receiver?.head({ status: 200, fields: new Fields() }, false);
      await clock.advance(1_000);
    },
    reason: "timeout",
    cut: true,
  },
  {
    name: "too much",
    happens: ({ cluster }) => answer(cluster.receiver, 200, "123456789", "0123"),
    reason: "garbled",
    cut: true,
  },
];

for (const { name, happens, reason, cut } of failures)
  test(`a call fails: ${name}`, async () => {
    const staged = stage();
    const outcome = staged.http();
    await happens(staged);
    const failed = await outcome;
    assert.equal(failed.kind === "failed" ? failed.reason : failed.kind, reason);
    assert.equal(staged.cluster.resets.length, cut ? 1 : 0);
    assert.equal(staged.clock.pending, 0);
  });

test("no cluster and no endpoint fail at once", async () => {
  const { cluster, http } = stage();
  const none = await http({ cluster: "else" });
  assert.equal(none.kind === "failed" ? none.reason : "", "no-cluster");
  cluster.picked = { kind: "none", flag: "UH", details: "no_healthy_upstream" };
  const empty = await http();
  assert.deepEqual(empty, {
    kind: "failed",
    reason: "unavailable",
    detail: "authz: no_healthy_upstream",
  });
});

test("a call ends with the request that waits for it", async () => {
  const { cluster, clock, http } = stage();
  const gone = new AbortController();
  const outcome = http({ signal: gone.signal });
  gone.abort();
  const failed = await outcome;
  assert.equal(failed.kind === "failed" ? failed.reason : "", "aborted");
  assert.equal(cluster.resets.length, 1);
  assert.equal(clock.pending, 0);
  const late = await http({ signal: gone.signal });
  assert.equal(late.kind === "failed" ? late.reason : "", "aborted");
});

test("a unary call is one message each way", async () => {
  const { cluster, unary } = stage();
  const outcome = unary();
  assert.equal(cluster.requestHead?.path, "/s.S/M");
  assert.deepEqual(cluster.requestHead?.fields.flat, [
    ...["te", "trailers", "grpc-timeout", "1000m", "content-type", "application/grpc"],
    ...["x-m", "1"],
  ]);
  assert.equal(cluster.sent, "\0\0\0\0\x03ask");
  const frame = frameMessage(Buffer.from("yes"));
  cluster.receiver?.head({ status: 200, fields: new Fields() }, false);
  cluster.receiver?.body(frame, 0, 2);
  cluster.receiver?.body(frame, 2, frame.length);
  cluster.receiver?.end(new Fields(["grpc-status", "0"]));
  assert.deepEqual(await outcome, { kind: "message", message: Buffer.from("yes") });
});

/** Answers that are no message. */
const grpcAnswers: readonly (readonly [
  name: string,
  head: readonly string[],
  body: string,
  trailers: readonly string[] | undefined,
  seen: string,
])[] = [
  ["status in trailers", [], "", ["grpc-status", "7", "grpc-message", "no"], "status 7 no"],
  ["trailers only", ["grpc-status", "14"], "", undefined, "status 14 "],
  ["no status", [], "\0\0\0\0\0", undefined, "garbled"],
  ["status is no number", [], "\0\0\0\0\0", ["grpc-status", "x"], "garbled"],
  ["no message", [], "", ["grpc-status", "0"], "garbled"],
  ["compressed", [], "\x01\0\0\0\0", ["grpc-status", "0"], "garbled"],
  ["cut", [], "\0\0\0\0\x05ab", ["grpc-status", "0"], "garbled"],
  ["two messages", [], "\0\0\0\0\0\0\0\0\0\0", ["grpc-status", "0"], "garbled"],
];

for (const [name, head, body, trailers, seen] of grpcAnswers)
  test(`a unary call's answer: ${name}`, async () => {
    const { cluster, unary } = stage();
    const outcome = unary();
    cluster.receiver?.head({ status: 200, fields: new Fields([...head]) }, false);
    const bytes = Buffer.from(body, "latin1");
    cluster.receiver?.body(bytes, 0, bytes.length);
    cluster.receiver?.end(trailers && new Fields([...trailers]));
    const got = await outcome;
    const words =
      got.kind === "status"
        ? `status ${got.status} ${got.message}`
        : got.kind === "failed"
          ? got.reason
          : got.kind;
    assert.equal(words, seen);
  });
