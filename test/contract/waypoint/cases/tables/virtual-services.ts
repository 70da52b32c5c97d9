/** Routes of VirtualServices. */
import assert from "node:assert/strict";
import {
  asks,
  between,
  type CaseTable,
  look,
  notes,
  ordinary,
  reviews,
  shares,
} from "../../../../support/waypoint/cases/looks.ts";

const to = "reviews:80";

export const canary: CaseTable = {
  golden: "l7-vs-canary",
  looks: [
    ...ordinary("ratings", "metrics", "db"),
    look("nine of ten requests go to v1, one to v2", async (mesh) => {
      const counts = await shares(mesh, { to }, 300);
      // The mean is 30, and five deviations are 26.
      between(counts["reviews-v2"], 4, 56);
      assert.equal((counts["reviews-v1"] ?? 0) + (counts["reviews-v2"] ?? 0), 300);
    }),
    asks(
      "any path, any method",
      { to, path: "/x", method: "PUT", body: "y" },
      { status: 200, pod: reviews, method: "PUT" },
    ),
    look("many requests of one connection are divided too", async (mesh) => {
      const counts = await shares(mesh, { to, protocol: "HTTP/2" }, 150);
      between(counts["reviews-v2"], 1, 35);
    }),
  ],
};

const ratings = "ratings:9080";
const quick = 1500;

export const fault: CaseTable = {
  golden: "l7-vs-fault",
  looks: [
    notes(
      "that an aborted request was aborted",
      { to: "ratings:9080", headers: { "x-test": "grpc" } },
      { flags: "FI", details: "fault_filter_abort" },
    ),
    ...ordinary("reviews", "metrics", "db"),
    look(
      "half of the requests with the header are aborted, the others are not delayed",
      async (mesh) => {
        const all = await Promise.all(
          Array.from({ length: 80 }, () =>
            mesh.ask({ to: ratings, headers: { "x-test": "abort" } }),
          ),
        );
        const aborted = all.filter(({ status }) => status === 503);
        between(aborted.length, 18, 62);
        for (const { body, echo } of aborted) {
          assert.equal(body, "fault filter abort");
          assert.equal(echo, undefined);
        }
        assert.ok(
          all.every(({ status, tookMs }) => status === 503 || (status === 200 && tookMs < 1900)),
        );
      },
    ),
    asks(
      "every request with the other header ends with a status of gRPC",
      {
        to: ratings,
        protocol: "HTTP/2",
        method: "POST",
        path: "/shop.Ratings/Get",
        headers: { "x-test": "grpc", "content-type": "application/grpc", te: "trailers" },
      },
      { status: 200, headers: { "grpc-status": "14", "grpc-message": "fault filter abort" } },
    ),
    asks(
      "also to whoever does not speak gRPC, to whom it is an answer like others",
      { to: ratings, headers: { "x-test": "grpc" } },
      { status: 200, pod: null, body: "fault filter abort" },
    ),
    look("one of eight other requests waits for two seconds", async (mesh) => {
      const all = await Promise.all(
        Array.from({ length: 96 }, () => mesh.ask({ to: ratings, protocol: "HTTP/2" })),
      );
      const late = all.filter(({ tookMs }) => tookMs >= 1990);
      // The mean is 12, and five deviations are 16.
      between(late.length, 1, 28);
      assert.ok(all.every(({ status, echo }) => status === 200 && echo?.pod === "ratings-v1"));
      assert.ok(all.every(({ tookMs }) => tookMs < 2000 + quick));
    }),
    asks(
      "a header that only resembles it is another request",
      { to: ratings, headers: { "x-test": "aborted" } },
      { status: 200, pod: "ratings-v1" },
    ),
  ],
};

const v1 = { status: 200, pod: "reviews-v1" };
const v2 = { status: 200, pod: "reviews-v2" };
const beta = { "x-beta": "yes!", cookie: "a=1;user=beta;b=2" };

export const match: CaseTable = {
  golden: "l7-vs-match",
  looks: [
    ...ordinary("ratings", "metrics", "db"),
    asks("nothing matches: the last route", { to }, v1),
    asks("a header's exact value", { to, headers: { "end-user": "jason" } }, v2),
    asks("in other letters it is another one", { to, headers: { "end-user": "Jason" } }, v1),
    asks("a longer one is another one", { to, headers: { "end-user": "jasons" } }, v1),
    asks("a prefix, an expression and a path together", { to, path: "/api/x", headers: beta }, v2),
    asks("a path's prefix is no part of a path", { to, path: "/apiary", headers: beta }, v2),
    asks("another path", { to, path: "/x", headers: beta }, v1),
    asks("without the cookie", { to, path: "/api", headers: { "x-beta": "yes" } }, v1),
    asks(
      "another cookie",
      { to, path: "/api", headers: { "x-beta": "yes", cookie: "xuser=beta" } },
      v1,
    ),
    asks(
      "an expression holds for all of a value",
      { to, path: "/api", headers: { "x-beta": "yes", cookie: "user=betas" } },
      v1,
    ),
    asks("an exact path", { to, path: "/health", headers: { "x-unused": "1" } }, v1),
    asks("an exact path in other letters", { to, path: "/HEALTH" }, v1),
    asks("an expression on the path, with parameters", { to, path: "/items/7?v=2&q=abc" }, v2),
    asks("parameters in another order", { to, path: "/items/7?q=a&x=y&v=2" }, v2),
    asks("an expression holds for all of a path", { to, path: "/items/7/x?v=2&q=abc" }, v1),
    asks("a parameter is missing", { to, path: "/items/7?v=2" }, v1),
    asks("a parameter has another value", { to, path: "/items/7?v=22&q=abc" }, v1),
    asks("a parameter's expression holds for all of it", { to, path: "/items/7?v=2&q=xa" }, v1),
    asks(
      "a header that must not be there",
      { to, path: "/items/7?v=2&q=abc", headers: { "x-skip": "" } },
      v1,
    ),
  ],
};

export const rewrite: CaseTable = {
  golden: "l7-vs-rewrite-redirect-direct",
  looks: [
    ...ordinary("ratings", "metrics", "db"),
    asks(
      "a prefix and the host are rewritten",
      { to, path: "/old/a?b=1" },
      {
        status: 200,
        pod: reviews,
        path: "/new/a?b=1",
        host: "other.shop",
        seen: { "x-envoy-original-path": "/old/a?b=1" },
      },
    ),
    asks(
      "a path is rewritten by an expression",
      { to, path: "/re/abc/d?e=f" },
      { status: 200, pod: reviews, path: "/r/abc/d?e=f", host: "reviews.shop" },
    ),
    asks(
      "where the expression does not match the path stays",
      { to, path: "/rex" },
      { status: 200, pod: reviews, path: "/rex" },
    ),
    asks(
      "a redirect",
      { to, path: "/go/1?a=b" },
      { status: 302, pod: null, headers: { location: "https://example.com/gone?a=b" }, body: "" },
    ),
    asks(
      "an answer without an application",
      { to, path: "/teapot/x" },
      {
        status: 418,
        pod: null,
        body: "short and stout",
        headers: { "x-kind": "teapot", "content-type": "text/plain", "content-length": "15" },
      },
    ),
    asks(
      "headers are set, added and removed on the way there and back",
      { to, path: "/", headers: { "x-a": "0", "x-b": "mine", "x-c": "gone" } },
      {
        status: 200,
        pod: reviews,
        host: "changed.shop",
        seen: {
          "x-a": "1",
          "x-b": /^mine, ?10\.10\.1\.10:\d+$/,
          "x-c": null,
          "x-dest": "r",
          "x-forwarded-host": null,
        },
        headers: { "x-d": "2", server: "istio-envoy" },
      },
    ),
    asks(
      "an origin that may read",
      { to, headers: { origin: "https://a.example" } },
      {
        status: 200,
        pod: reviews,
        headers: {
          "access-control-allow-origin": "https://a.example",
          "access-control-allow-credentials": "true",
          "access-control-expose-headers": "x-d",
        },
      },
    ),
    asks(
      "an origin by an expression",
      { to, headers: { origin: "https://x.b.example" } },
      { status: 200, headers: { "access-control-allow-origin": "https://x.b.example" } },
    ),
    asks(
      "an origin that may not",
      { to, headers: { origin: "https://a.example.evil" } },
      { status: 200, pod: reviews, headers: { "access-control-allow-origin": null } },
    ),
    asks(
      "a preflight is answered by the waypoint",
      {
        to,
        method: "OPTIONS",
        headers: { origin: "https://a.example", "access-control-request-method": "POST" },
      },
      {
        status: 200,
        pod: null,
        headers: {
          "access-control-allow-origin": "https://a.example",
          "access-control-allow-methods": "GET,POST",
          "access-control-allow-headers": "x-a",
          "access-control-max-age": "86400",
          "access-control-allow-credentials": "true",
        },
      },
    ),
    asks(
      "a preflight of another origin goes to the application",
      {
        to,
        method: "OPTIONS",
        headers: { origin: "https://c.example", "access-control-request-method": "POST" },
      },
      { status: 200, pod: reviews, method: "OPTIONS" },
    ),
    asks(
      "no cross-origin answers where the route has no policy",
      { to, path: "/old/", headers: { origin: "https://a.example" } },
      { status: 200, path: "/new/", headers: { "access-control-allow-origin": null } },
    ),
  ],
};
