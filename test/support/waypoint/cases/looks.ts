/** A case's table: what a client pod does, and what it and the application then see. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Ask, Got } from "./asking.ts";
import type { CaseMesh, Refusal } from "./mesh.ts";

export interface Look {
  readonly name: string;
  readonly run: (mesh: CaseMesh) => Promise<void>;
  /** Why a plain Envoy with the same resources cannot be held to it. */
  readonly notEnvoy?: string;
}

export interface CaseTable {
  readonly golden: string;
  readonly looks: readonly Look[];
  /** What the case needs around the pods. */
  readonly around?: (mesh: CaseMesh) => Promise<void>;
}

/** A value, a pattern, or null for its absence. */
type Wanted = string | RegExp | null;

export interface Expected {
  readonly status?: number;
  /** Who answered; null for nobody. */
  readonly pod?: string | readonly string[] | null;
  readonly path?: string;
  readonly host?: string;
  readonly method?: string;
  readonly protocol?: "HTTP/1.1" | "HTTP/2";
  /** Header fields that the application got. */
  readonly seen?: Readonly<Record<string, Wanted>>;
  /** Header fields that the client got. */
  readonly headers?: Readonly<Record<string, Wanted>>;
  readonly trailers?: Readonly<Record<string, Wanted>>;
  readonly body?: string | RegExp;
  readonly tookMs?: readonly [atLeast: number, atMost: number];
}

function holds(value: unknown, wanted: Wanted, what: string): void {
  const text = Array.isArray(value) ? value.join(",") : value;
  if (wanted === null) assert.equal(text, undefined, what);
  else if (typeof wanted === "string") assert.equal(text, wanted, what);
  else assert.match(String(text), wanted, what);
}

function allHold(
  values: Readonly<Record<string, unknown>>,
  wanted: Readonly<Record<string, Wanted>> = {},
  all: string,
): void {
  for (const [name, one] of Object.entries(wanted)) holds(values[name], one, `${name} in ${all}`);
}

export function check(got: Got, expected: Expected): void {
  const { echo } = got;
  const all = JSON.stringify(got);
  if (expected.status !== undefined) assert.equal(got.status, expected.status, all);
  if (expected.pod === null) assert.equal(echo, undefined, all);
  else if (expected.pod !== undefined)
    assert.ok([expected.pod].flat().includes(echo?.pod ?? "nobody"), `answered by ${all}`);
  for (const part of ["path", "host", "method", "protocol"] as const)
    if (expected[part] !== undefined)
      assert.equal(echo?.[part], expected[part], `${part} in ${all}`);
  allHold(echo?.headers ?? {}, expected.seen, all);
  allHold(got.headers, expected.headers, all);
  allHold(got.trailers, expected.trailers, all);
  if (expected.body !== undefined) holds(got.body, expected.body, "body");
  if (expected.tookMs !== undefined) {
    const [atLeast, atMost] = expected.tookMs;
    assert.ok(got.tookMs >= atLeast && got.tookMs <= atMost, `took ${got.tookMs} ms`);
  }
}

/** One request and its answer. */
export function asks(
  name: string,
  ask: Ask,
  expected: Expected,
  more: Pick<Look, "notEnvoy"> = {},
): Look {
  return { name, ...more, run: async (mesh) => check(await mesh.ask(ask), expected) };
}

export function look(name: string, run: Look["run"], more: Pick<Look, "notEnvoy"> = {}): Look {
  return { name, run, ...more };
}

/** A connection on which something is said, and what is heard. */
export function talks(
  name: string,
  talk: { readonly to: string; readonly as?: string; readonly from?: string; readonly say: string },
  expected: { readonly heard: string; readonly end?: "open" | "closed" | "reset" },
): Look {
  return look(name, async (mesh) => {
    const { heard, end } = await mesh.talk({ ...talk, expectBytes: expected.heard.length || 1 });
    assert.equal(heard, expected.heard);
    if (expected.end !== undefined) assert.equal(end, expected.end);
  });
}

/**
 * A connection that leads nowhere or that a policy closes: what is said is not heard by anybody, and it ends. Envoy decides when
 * the client has said something, and lets through what the application said before.
 */
export function isClosed(
  name: string,
  talk: {
    readonly to: string;
    readonly as?: string;
    readonly from?: string;
    readonly greeting?: string;
  },
): Look {
  return look(name, async (mesh) => {
    // Nothing that could become a request: inspectors decide at once.
    const said = "\u0000hello";
    const { heard, end } = await mesh.talk({ ...talk, say: said, expectBytes: 100 });
    if (mesh.driving.by === "ambit" || talk.greeting === undefined) assert.equal(heard, "");
    else assert.ok(["", talk.greeting].includes(heard), heard);
    assert.notEqual(end, "open");
  });
}

/** A refusal, and what the waypoint notes about it. */
export function notes(
  name: string,
  ask: Ask | { readonly to: string; readonly as?: string; readonly connection: true },
  noted: Partial<Refusal>,
): Look {
  return look(
    name,
    async (mesh) => {
      if ("connection" in ask)
        await mesh.talk({
          to: ask.to,
          ...(ask.as === undefined ? {} : { as: ask.as }),
          say: "\u0000hello",
          expectBytes: 100,
        });
      else await mesh.ask(ask);
      for (let waitedMs = 0; ; waitedMs += 20) {
        const [last] = await mesh.refusals();
        const found = Object.fromEntries(
          Object.keys(noted).map((key) => [key, last?.[key as keyof Refusal]]),
        );
        if (waitedMs > 2000) return assert.deepEqual(found, noted);
        if (isDeepStrictEqual(found, noted)) return;
        await new Promise((done) => setTimeout(done, 20));
      }
    },
    { notEnvoy: "its notes are lines of an access log, which this case has not" },
  );
}

/** Many of the same request at once; how many of them each pod answered. `nobody` counts answers of the waypoint itself. */
export async function shares(
  mesh: CaseMesh,
  ask: Ask,
  count: number,
): Promise<Readonly<Record<string, number>>> {
  const all: Got[] = [];
  // Below what one connection takes, and few enough not to make a benchmark of it.
  for (let done = 0; done < count; done += 25)
    all.push(
      ...(await Promise.all(
        Array.from({ length: Math.min(25, count - done) }, () => mesh.ask(ask)),
      )),
    );
  const counts: Record<string, number> = {};
  for (const { echo } of all) {
    const pod = echo?.pod ?? "nobody";
    counts[pod] = (counts[pod] ?? 0) + 1;
  }
  return counts;
}

export function between(value: number | undefined, atLeast: number, atMost: number): void {
  assert.ok(
    (value ?? 0) >= atLeast && (value ?? 0) <= atMost,
    `${value}, not ${atLeast}-${atMost}`,
  );
}

export const reviews = ["reviews-v1", "reviews-v2"];

/** What a case does not speak of works as if it were not there. */
export function ordinary(
  ...services: readonly ("reviews" | "ratings" | "metrics" | "db")[]
): Look[] {
  const all = {
    reviews: [
      asks(
        "reviews answers with one of its pods, by a tunnel under the waypoint's identity",
        { to: "reviews:80", path: "/hello?x=1" },
        { status: 200, pod: reviews, path: "/hello?x=1", host: "reviews.shop" },
      ),
      look("both pods of reviews get their share", async (mesh) => {
        const counts = await shares(mesh, { to: "reviews:80" }, 50);
        for (const pod of reviews) between(counts[pod], 5, 45);
      }),
    ],
    ratings: [
      asks(
        "ratings answers over HTTP/2 on both sides",
        { to: "ratings:9080", protocol: "HTTP/2", path: "/two" },
        { status: 200, pod: "ratings-v1", protocol: "HTTP/2", path: "/two" },
      ),
    ],
    metrics: [
      asks(
        "a port of no declared protocol takes HTTP",
        { to: "ratings:9090", path: "/metrics" },
        { status: 200, pod: "ratings-v1", path: "/metrics" },
      ),
      talks(
        "a port of no declared protocol takes anything else",
        { to: "ratings:9090", say: "\u0001\u0002other" },
        { heard: "\u0001\u0002other" },
      ),
    ],
    db: [
      talks("db speaks first and echoes", { to: "db:5432", say: "ping" }, { heard: "ready\nping" }),
    ],
  };
  return services.flatMap((service) => all[service]);
}
