import {
  asks,
  type CaseTable,
  isClosed,
  notes,
  ordinary,
} from "../../../../support/waypoint/cases/looks.ts";

const denied = { status: 403, pod: null, body: "RBAC: access denied" };

export const workload: CaseTable = {
  golden: "l7-workload-waypoint",
  looks: [
    notes(
      "which rule denies at a pod",
      { to: "10.10.1.11:8080", path: "/private" },
      {
        destination: "10.10.1.11:8080",
        details: "rbac_access_denied_matched_policy[ns[shop]-policy[gw]-rule[0]]",
      },
    ),
    ...ordinary("reviews", "ratings"),
    asks(
      "a request to a pod's address goes to that pod",
      { to: "10.10.1.11:8080", path: "/direct", host: "10.10.1.11:8080" },
      { status: 200, pod: "reviews-v1", path: "/direct", host: "10.10.1.11:8080" },
    ),
    asks(
      "and to the other one",
      { to: "10.10.2.11:8080", host: "any.example" },
      { status: 200, pod: "reviews-v2", host: "any.example" },
    ),
    asks(
      "HTTP/2 with prior knowledge stays HTTP/2",
      { to: "10.10.2.12:9080", protocol: "HTTP/2" },
      { status: 200, pod: "ratings-v1", protocol: "HTTP/2" },
    ),
    asks(
      "a port of no declared protocol takes HTTP",
      { to: "ratings:9090" },
      { status: 200, pod: "ratings-v1" },
    ),
    // A rule that denies by what cannot be seen denies all, as the reference has it.
    isClosed("what has no paths is denied by them", { to: "ratings:9090" }),
    isClosed("at a pod's address too", { to: "10.10.2.12:9090" }),
    isClosed("and where the application speaks first", { to: "db:5432", greeting: "ready\n" }),
    isClosed("in both ways", { to: "10.10.2.13:5433", greeting: "ready\n" }),
    asks("a policy holds for pods", { to: "10.10.1.11:8080", path: "/private/x" }, denied),
    asks("and for services", { to: "reviews:80", path: "/private" }, denied),
    asks(
      "a path that does not begin so",
      { to: "reviews:80", path: "/x/private" },
      { status: 200 },
    ),
    isClosed("an address of nobody", { to: "10.10.9.9:8080" }),
  ],
};
