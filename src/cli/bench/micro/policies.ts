/** Judging one connection by the policies that apply to its destination. */
import type { ConnectionFacts } from "../../../shared/authz/decision.ts";
import { evaluate } from "../../../shared/authz/evaluate.ts";
import type { Policy } from "../../../shared/model/policy.ts";
import { matchOf } from "../../../shared/model/policy-match.ts";
import { ipOf } from "../../../shared/net/ip.ts";
import { casesOf, type MicroCase, type Work } from "./measure.ts";

/** Each lets one caller in, the last the one who asks. */
function allowing(count: number): readonly Policy[] {
  return Array.from({ length: count }, (_, index) => {
    const caller = index === count - 1 ? "web" : `caller-${index}`;
    const value = `cluster.local/ns/shop/sa/${caller}`;
    return {
      name: `allow-${index}`,
      namespace: "shop",
      scope: "Namespace",
      action: "Allow",
      dryRun: false,
      rules: [
        {
          clauses: [
            { matches: [matchOf({ principals: [{ kind: "exact", value }] })] },
            { matches: [matchOf({ destinationPorts: [8080] })] },
          ],
        },
      ],
    };
  });
}

const facts: ConnectionFacts = {
  sourceIp: ipOf("10.244.2.9"),
  peer: { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web" },
  destinationIp: ipOf("10.244.1.17"),
  destinationPort: 8080,
};

function judging(count: number): () => Work {
  return () => {
    const candidates = { policies: allowing(count), unknown: [], refused: [] };
    return (times) => {
      let allowed = 0;
      for (let time = 0; time < times; time++)
        if (evaluate(candidates, facts).verdict === "allow") allowed++;
      return allowed;
    };
  };
}

export const policyCases: readonly MicroCase[] = casesOf(
  "policy",
  [1, 100, 10_000].map((count) => [
    `judge a connection by ${count} ${count === 1 ? "policy" : "policies"}`,
    judging(count),
  ]),
);
