import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import { SessionLostError, UnprocessedError } from "../../../../src/shared/hbone/client.ts";
import { HbonePool } from "../../../../src/shared/hbone/pool.ts";
import type {
  HboneClientSession,
  TunnelAnswer,
  TunnelRequest,
} from "../../../../src/shared/hbone/tunnel.ts";
import { FakeClock } from "../../../support/clock.ts";

const never = new AbortController().signal;
const request: TunnelRequest = { authority: "a:1", headers: [] };
const options = { maxStreamsPerSession: 3, idleReleaseMs: 300_000 };

class FakeSession implements HboneClientSession {
  usable = true;
  openStreams = 0;
  maxStreams = 100;
  congested = false;
  drained = false;
  goneOnNext = false;
  /** Breaks when the next request is on its way. */
  lostOnNext = false;
  readonly closed: Promise<void>;
  #close: () => void = () => undefined;

  constructor() {
    this.closed = new Promise((resolve) => {
      this.#close = resolve;
    });
  }

  connect(): Promise<TunnelAnswer> {
    if (this.goneOnNext) {
      this.usable = false;
      return Promise.reject(new UnprocessedError("h2-failed", "GOAWAY"));
    }
    if (this.lostOnNext) {
      this.usable = false;
      return Promise.reject(new SessionLostError("h2-failed", "HTTP/2 session broke"));
    }
    this.openStreams++;
    const stream = { kind: "tunnel", reset: () => undefined } as const;
    return Promise.resolve({ kind: "open", headers: [], stream });
  }

  drain(): void {
    this.drained = true;
    this.end();
  }

  destroy(): void {
    this.end();
  }

  end(): void {
    this.usable = false;
    this.#close();
  }
}

function opener(): { sessions: FakeSession[]; open: () => Promise<HboneClientSession> } {
  const sessions: FakeSession[] = [];
  const open = async (): Promise<HboneClientSession> => {
    await turn();
    const session = new FakeSession();
    sessions.push(session);
    return session;
  };
  return { sessions, open };
}

describe("HbonePool", () => {
  test("opens one session for all who ask at once, and another when it is full", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    await Promise.all(Array.from({ length: 7 }, () => pool.connect("k", open, request, never)));
    assert.deepEqual(
      sessions.map((session) => session.openStreams),
      [3, 3, 1],
    );
    assert.equal(pool.size, 3);
  });

  test("a session that was in use and breaks before the answer is replaced, a new one is not", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    const ask = (): Promise<TunnelAnswer> => pool.connect("k", open, request, never);
    await ask();
    const [first] = sessions;
    assert.ok(first);
    first.lostOnNext = true;
    assert.equal((await ask()).kind, "open");
    assert.equal(sessions.length, 2);
    const failing = async (): Promise<HboneClientSession> => {
      const session = await open();
      (session as FakeSession).lostOnNext = true;
      return session;
    };
    await assert.rejects(pool.connect("other", failing, request, never), SessionLostError);
    assert.equal(sessions.length, 3);
  });

  test("a session that was full is used again when tunnels have ended", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    const ask = (): Promise<TunnelAnswer> => pool.connect("k", open, request, never);
    for (let i = 0; i < 3; i++) await ask();
    const [first] = sessions;
    assert.ok(first);
    first.openStreams = 1;
    await ask();
    assert.deepEqual([sessions.length, first.openStreams], [1, 2]);
  });

  test("keys do not share sessions", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    await Promise.all(["a", "b"].map((key) => pool.connect(key, open, request, never)));
    assert.equal(sessions.length, 2);
  });

  test("a session that is not usable any more is passed over", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    await pool.connect("k", open, request, never);
    (sessions[0] as FakeSession).usable = false;
    await pool.connect("k", open, request, never);
    assert.equal(sessions.length, 2);
  });

  test("a congested session gets no new tunnels, unless several are", async () => {
    const pool = new HbonePool({ ...options, maxStreamsPerSession: 100 }, new FakeClock());
    const { sessions, open } = opener();
    for (let count = 0; count < 8; count++) {
      await pool.connect("k", open, request, never);
      for (const session of sessions) session.congested = true;
    }
    assert.equal(sessions.length, 5);
    assert.equal(sessions[4]?.openStreams, 4);
  });

  test("a request that the peer did not act on goes to another session", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    await pool.connect("k", open, request, never);
    (sessions[0] as FakeSession).goneOnNext = true;
    const answer = await pool.connect("k", open, request, never);
    assert.equal(answer.kind, "open");
    assert.equal(sessions.length, 2);
  });

  test("a failure to open reaches everybody who waits, and the next one tries again", async () => {
    const pool = new HbonePool(options, new FakeClock());
    let attempts = 0;
    const open = async (): Promise<HboneClientSession> => {
      attempts++;
      await turn();
      throw new MeshError("connect-failed", "no route");
    };
    const asked = [1, 2, 3].map(() => pool.connect("k", open, request, never));
    const results = await Promise.allSettled(asked);
    assert.ok(results.every((result) => result.status === "rejected"));
    assert.equal(attempts, 1);
    assert.equal(pool.size, 0);
    await assert.rejects(pool.connect("k", open, request, never), { code: "connect-failed" });
    assert.equal(attempts, 2);
  });

  test("opening is aborted when the last one who waits has gone", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const [first, second] = [new AbortController(), new AbortController()];
    let opening: AbortSignal | undefined;
    const open = (signal: AbortSignal): Promise<HboneClientSession> => {
      opening = signal;
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    };
    const asked = [first, second].map(({ signal }) => pool.connect("k", open, request, signal));
    const settled = Promise.allSettled(asked);
    first.abort(new Error("gone"));
    await turn();
    assert.equal(opening?.aborted, false);
    second.abort(new Error("gone too"));
    await settled;
    assert.equal(opening?.aborted, true);
    await turn();
    assert.equal(pool.size, 0);
  });

  test("an unused session is released, a used one stays", async () => {
    const clock = new FakeClock();
    const pool = new HbonePool(options, clock);
    const { sessions, open } = opener();
    await pool.connect("k", open, request, never);
    const session = sessions[0] as FakeSession;
    await clock.advance(200_000);
    await pool.connect("k", open, request, never);
    await clock.advance(200_000);
    session.openStreams = 0;
    await clock.advance(99_000);
    assert.equal(session.drained, false);
    await clock.advance(2_000);
    assert.equal(session.drained, true);
    await turn();
    assert.equal(pool.size, 0);
  });

  test("drain refuses new requests and drains what is there", async () => {
    const pool = new HbonePool(options, new FakeClock());
    const { sessions, open } = opener();
    await pool.connect("k", open, request, never);
    pool.drain();
    assert.equal(sessions[0]?.drained, true);
    await assert.rejects(pool.connect("k", open, request, never), { code: "drained" });
  });
});
