import assert from "node:assert/strict";
import {
  asks,
  type CaseTable,
  isClosed,
  look,
  ordinary,
} from "../../../../support/waypoint/cases/looks.ts";

export const base: CaseTable = {
  golden: "l7-base",
  looks: [
    ...ordinary("reviews", "ratings", "metrics", "db"),
    asks(
      "what the waypoint adds to a request and to an answer",
      { to: "reviews:80", headers: { "x-client": "kept" } },
      {
        status: 200,
        seen: {
          "x-client": "kept",
          "x-forwarded-proto": "http",
          "x-request-id": /^[0-9a-f-]{36}$/,
          "x-envoy-attempt-count": null,
          "x-forwarded-for": null,
          "x-forwarded-client-cert": null,
        },
        headers: { server: "istio-envoy", "x-envoy-upstream-service-time": /^\d+$/ },
      },
    ),
    look("the application's ztunnel sees the waypoint, not the client", async (mesh) => {
      await mesh.ask({ to: "reviews:80", as: "shop/reviews" });
      const { arrivals } = mesh.stage;
      const peers = new Set(arrivals.map(({ peer }) => peer));
      assert.deepEqual([...peers], ["spiffe://cluster.local/ns/shop/sa/waypoint"]);
      const found = arrivals.filter(({ authority }) => /^10\.10\.[12]\.11:8080$/.test(authority));
      assert.ok(found.length > 0);
    }),
    asks(
      "the Host does not choose the service, the address does",
      { to: "reviews:80", host: "ratings.shop:9080" },
      { status: 200, pod: ["reviews-v1", "reviews-v2"], host: "ratings.shop:9080" },
    ),
    asks(
      "a path is normalized, and its slashes are kept",
      { to: "reviews:80", path: "/a/./b/../c//d%2Fe?q=/../x" },
      { status: 200, path: "/a/c//d%2Fe?q=/../x" },
    ),
    asks(
      "a body goes there and back",
      { to: "reviews:80", method: "POST", path: "/", body: "x".repeat(100_000) },
      { status: 200, method: "POST", body: /x{100000}/ },
    ),
    asks(
      "an answer of an application is passed on as it is",
      { to: "reviews:80", headers: { "x-do": "status=404" } },
      { status: 404, pod: ["reviews-v1", "reviews-v2"] },
    ),
    asks(
      "gRPC with its trailers",
      {
        to: "ratings:9080",
        protocol: "HTTP/2",
        method: "POST",
        path: "/shop.Ratings/Get",
        headers: { "content-type": "application/grpc", te: "trailers" },
        body: Buffer.from([0, 0, 0, 0, 1, 65]),
      },
      { status: 200, headers: { "x-pod": "ratings-v1" }, trailers: { "grpc-status": "0" } },
    ),
    asks(
      "HTTP/1.1 to a service that is spoken to in HTTP/2",
      { to: "ratings:9080", path: "/one" },
      { status: 200, pod: "ratings-v1", protocol: "HTTP/2", path: "/one" },
    ),
    asks(
      "a request is not tried again on an application that breaks off",
      { to: "reviews:80", headers: { "x-do": "reset" } },
      { status: 503, pod: null, body: /upstream connect error|reset before headers/ },
    ),
    isClosed("a port that the service has not", { to: "reviews:81" }),
    isClosed("an address that is nobody's", { to: "10.96.1.99:80" }),
    isClosed("a service that the waypoint does not serve", { to: "old:8000" }),
    isClosed("a pod's address: the waypoint is for services", { to: "10.10.1.11:8080" }),
  ],
};
