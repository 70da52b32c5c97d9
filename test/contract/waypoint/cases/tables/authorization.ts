/** Policies that allow and deny. */
import {
  asks,
  type CaseTable,
  isClosed,
  notes,
  ordinary,
  reviews,
  talks,
} from "../../../../support/waypoint/cases/looks.ts";

const denied = { status: 403, pod: null, body: "RBAC: access denied" };
const deniedByGrpc = {
  status: 200,
  headers: { "grpc-status": "7", "grpc-message": /RBAC: access denied/ },
};

export const denyAll: CaseTable = {
  golden: "l7-authz-deny-all-at-waypoint",
  looks: [
    notes(
      "that nothing allows it",
      { to: "reviews:80" },
      {
        status: 403,
        details: "rbac_access_denied_matched_policy[none]",
        identity: "spiffe://cluster.local/ns/shop/sa/web",
      },
    ),
    notes(
      "that nothing allows the connection",
      { to: "db:5432", connection: true },
      {
        destination: "10.96.1.3:5432",
        status: null,
        details: "rbac_access_denied_matched_policy[none]",
      },
    ),
    asks("nobody reads reviews", { to: "reviews:80" }, denied),
    asks("nor under another identity", { to: "reviews:80", as: "shop/reviews" }, denied),
    asks("nor writes", { to: "reviews:80", method: "POST", body: "x" }, denied),
    asks("nor over HTTP/2", { to: "ratings:9080", protocol: "HTTP/2" }, denied),
    asks(
      "a call of gRPC is told so in its own words",
      {
        to: "ratings:9080",
        protocol: "HTTP/2",
        method: "POST",
        path: "/shop.Ratings/Get",
        headers: { "content-type": "application/grpc", te: "trailers" },
      },
      deniedByGrpc,
    ),
    asks("nor where the protocol is found out", { to: "ratings:9090" }, denied),
    isClosed("a connection of no known protocol is closed", { to: "ratings:9090" }),
    isClosed("a connection to db is closed", { to: "db:5432", greeting: "ready\n" }),
  ],
};

export const denyService: CaseTable = {
  golden: "l7-authz-deny-service",
  looks: [
    notes(
      "which rule of which policy denies",
      { to: "reviews:80", method: "POST", path: "/p" },
      {
        request: "POST reviews.shop/p",
        status: 403,
        details: "rbac_access_denied_matched_policy[ns[shop]-policy[svc]-rule[0]]",
      },
    ),
    ...ordinary("reviews", "ratings", "metrics", "db"),
    ...["POST", "DELETE", "PUT", "HEAD", "OPTIONS"].map((method) =>
      asks(
        `${method} is denied`,
        { to: "reviews:80", method },
        {
          status: 403,
          pod: null,
          ...(method === "HEAD" ? { body: "" } : { body: "RBAC: access denied" }),
        },
      ),
    ),
    asks(
      "POST to another service is allowed",
      { to: "ratings:9080", method: "POST", body: "x" },
      { status: 200, pod: "ratings-v1", method: "POST" },
    ),
    asks("denied whoever asks", { to: "reviews:80", method: "PATCH", as: "shop/db" }, denied),
  ],
};

/**
 * Rules on source.ip name the address that a connection comes from directly, and to Envoy that is its own inner connection: such
 * a rule never holds there (istio/istio issue 46982). Here it is the client's address, as the policy's author means it.
 */
const sourceIp =
  "Envoy compares source.ip with its inner connection's address, which is no IP address";

const token = { "x-token": "abcdef" };
const to = "reviews:80";
const allowed = { status: 200, pod: reviews };

export const methodsAndPaths: CaseTable = {
  golden: "l7-authz-methods-paths",
  looks: [
    asks("GET of a path by its prefix", { to, path: "/api/list", headers: token }, allowed),
    asks("HEAD too", { to, path: "/api/list", method: "HEAD", headers: token }, { status: 200 }),
    asks("a path by its template", { to, path: "/one/x/two/three", headers: token }, allowed),
    asks("a path by its suffix", { to, path: "/a/b.html", headers: token }, allowed),
    asks(
      "a query does not belong to the path",
      { to, path: "/b.html?x=1", headers: token },
      allowed,
    ),
    asks("another method", { to, path: "/api/list", method: "POST", headers: token }, denied),
    asks("another path", { to, path: "/other", headers: token }, denied),
    asks("a template's part is not empty", { to, path: "//x/two", headers: token }, denied),
    asks("a template's part is one part", { to, path: "/one/two/x/three", headers: token }, denied),
    asks("an excepted path", { to, path: "/api/admin/x", headers: token }, denied),
    asks(
      "an excepted path by a detour is the path it leads to",
      { to, path: "/api/x/../admin/y", headers: token },
      denied,
    ),
    asks("another host", { to, path: "/api/list", host: "other.shop", headers: token }, denied),
    asks(
      "a host in other letters, with a port",
      { to, path: "/api/list", host: "REVIEWS.shop:80", headers: token },
      allowed,
    ),
    asks("without the header", { to, path: "/api/list" }, denied),
    asks(
      "another header's value",
      { to, path: "/api/list", headers: { "x-token": "xabc" } },
      denied,
    ),
    asks("another identity", { to, path: "/api/list", as: "shop/reviews", headers: token }, denied),
    asks("an excepted namespace", { to, path: "/api/list", as: "bad/web", headers: token }, denied),
    asks(
      "an excepted address",
      { to, path: "/api/list", from: "10.9.1.1", headers: token },
      denied,
      { notEnvoy: sourceIp },
    ),
    asks(
      "an address beside the excepted ones",
      { to, path: "/api/list", from: "10.8.1.1", headers: token },
      allowed,
    ),
    asks(
      "another port",
      { to: "ratings:9080", path: "/api/list", host: "reviews.shop", headers: token },
      denied,
    ),
    isClosed("what has no methods is not allowed by them", { to: "db:5432", greeting: "ready\n" }),
  ],
};

export const tcp: CaseTable = {
  golden: "l7-authz-tcp",
  looks: [
    notes(
      "that nothing allows the connection of this identity",
      { to: "db:5432", connection: true },
      {
        identity: "spiffe://cluster.local/ns/shop/sa/web",
        details: "rbac_access_denied_matched_policy[none]",
      },
    ),
    ...ordinary("reviews", "ratings", "metrics"),
    talks(
      "the named identity talks to db",
      { to: "db:5432", as: "shop/reviews", say: "ping" },
      { heard: "ready\nping" },
    ),
    isClosed("another identity is cut off", { to: "db:5432", greeting: "ready\n" }),
    isClosed("the same account of another namespace too", {
      to: "db:5432",
      as: "legacy/reviews",
      greeting: "ready\n",
    }),
  ],
};
