/** DestinationRules and sticky services. */
import assert from "node:assert/strict";
import type { Ask, Got } from "../../../../support/waypoint/cases/asking.ts";
import {
  asks,
  between,
  type CaseTable,
  isClosed,
  look,
  notes,
  ordinary,
  reviews,
  shares,
} from "../../../../support/waypoint/cases/looks.ts";
import type { CaseMesh } from "../../../../support/waypoint/cases/mesh.ts";

const to = "reviews:80";

/** The one pod that answers this request, however often it is made. */
async function alwaysBy(mesh: CaseMesh, ask: Ask): Promise<string> {
  const counts = await shares(mesh, ask, 8);
  const [pod = "nobody", ...others] = Object.keys(counts);
  assert.deepEqual(others, [], JSON.stringify(ask));
  return pod;
}

/** In a row: a burst would meet the rule's time for connecting, and be what puts a pod aside. */
async function oneByOne(mesh: CaseMesh, ask: Ask, count: number): Promise<readonly Got[]> {
  const all: Got[] = [];
  while (all.length < count) all.push(await mesh.ask(ask));
  return all;
}

export const breaker: CaseTable = {
  golden: "l7-dr-circuit-breaker",
  looks: [
    ...ordinary("ratings", "metrics", "db"),
    asks(
      "reviews is spoken to in HTTP/2, as the rule upgrades it",
      { to },
      { status: 200, pod: reviews, protocol: "HTTP/2" },
    ),
    look("one connection carries ten requests and no more", async (mesh) => {
      const { arrivals } = mesh.stage;
      const before = arrivals.length;
      await oneByOne(mesh, { to }, 40);
      between(arrivals.length - before, 4, 5);
    }),
    look("with a rule on outliers, the pod in the waypoint's zone comes first", async (mesh) => {
      const all = await oneByOne(mesh, { to }, 20);
      assert.deepEqual([...new Set(all.map(({ echo }) => echo?.pod))], ["reviews-v2"]);
    }),
    look(
      "when it fails three times in a row the pod in the other zone takes over",
      async (mesh) => {
        const ask: Ask = { to, headers: { "x-do": "status=503", "x-do-at": "reviews-v2" } };
        const all = await oneByOne(mesh, ask, 20);
        assert.deepEqual(
          all.map(({ status }) => status),
          [503, 503, 503, ...Array.from({ length: 17 }, () => 200)],
        );
        assert.ok(all.slice(3).every(({ echo }) => echo?.pod === "reviews-v1"));
      },
    ),
    look("the other pod stays though it fails: not more than half are put aside", async (mesh) => {
      const all = await oneByOne(mesh, { to, headers: { "x-do": "status=503" } }, 8);
      assert.ok(all.every(({ status, echo }) => status === 503 && echo?.pod === "reviews-v1"));
    }),
    look("more than the rule admits at once are turned away", async (mesh) => {
      const all = await Promise.all(
        // One connection of a client carries a hundred tunnels.
        Array.from({ length: 240 }, (_, index) =>
          mesh.ask({ to, from: `10.10.1.10${index % 4}`, headers: { "x-do": "delay=1500" } }),
        ),
      );
      const turnedAway = all.filter(({ headers }) => headers["x-envoy-overloaded"] === "true");
      assert.ok(turnedAway.length >= 40, `${turnedAway.length} of 240 were turned away`);
      for (const { status, body } of turnedAway) {
        assert.equal(status, 503);
        assert.match(body, /overflow/);
      }
      assert.equal(turnedAway.filter(({ echo }) => echo !== undefined).length, 0);
    }),
  ],
};

export const balancers: CaseTable = {
  golden: "l7-dr-load-balancers",
  looks: [
    ...ordinary("ratings", "metrics", "db"),
    asks(
      "who has no cookie gets one",
      { to },
      {
        status: 200,
        pod: reviews,
        headers: { "set-cookie": /^user="[0-9a-f]+"; Path=\/; HttpOnly$/ },
      },
    ),
    look("the cookie leads to the pod that gave it", async (mesh) => {
      for (let count = 0; count < 6; count++) {
        const { headers, echo } = await mesh.ask({ to });
        const cookie = String(headers["set-cookie"]).split(";")[0] ?? "";
        assert.equal(await alwaysBy(mesh, { to, headers: { cookie } }), echo?.pod);
      }
    }),
    look("who has one gets no other", async (mesh) => {
      const { headers } = await mesh.ask({ to, headers: { cookie: "user=me" } });
      assert.equal(headers["set-cookie"], undefined);
    }),
    look("cookies are spread over the pods, each to the same as in Envoy", async (mesh) => {
      const chosen: string[] = [];
      for (const user of ["a", "b", "c", "d", "e", "f", "g", "h"])
        chosen.push(
          (await alwaysBy(mesh, { to, headers: { cookie: `x=1; user=${user}` } })).slice(-1),
        );
      assert.equal(chosen.join(""), byCookie);
    }),
    asks(
      "a service balanced by load, with a warm-up",
      { to: "ratings:9080", protocol: "HTTP/2" },
      { status: 200, pod: "ratings-v1" },
    ),
    asks(
      "a port that is balanced by a header, with it",
      { to: "ratings:9090", headers: { "x-user": "u" } },
      { status: 200, pod: "ratings-v1" },
    ),
  ],
};

/** Which version of reviews the users a to h are led to; the same for three implementations. */
const byCookie = "22211222";

export const affinity: CaseTable = {
  golden: "l7-session-affinity-headless",
  looks: [
    notes(
      "that there is nobody to answer",
      { to: "empty:80" },
      {
        status: 503,
        flags: "UH",
        details: "no_healthy_upstream",
      },
    ),
    ...ordinary("reviews", "ratings", "metrics", "db"),
    look(
      "affinity to a client's address is the ztunnels' part: a waypoint balances",
      async (mesh) => {
        const counts = await shares(mesh, { to: "sticky:80", from: "10.10.1.101" }, 50);
        for (const pod of reviews) between(counts[pod], 5, 45);
      },
    ),
    look("so it does without affinity", async (mesh) => {
      const counts = await shares(mesh, { to, from: "10.10.1.101" }, 50);
      for (const pod of reviews) between(counts[pod], 5, 45);
    }),
    asks(
      "a service without endpoints",
      { to: "empty:80" },
      { status: 503, pod: null, body: "no healthy upstream" },
    ),
    isClosed("pods of a headless service are reached without the waypoint", {
      to: "10.10.1.11:80",
    }),
    isClosed("nor by the pods' own ports", { to: "10.10.1.11:8080" }),
  ],
};
