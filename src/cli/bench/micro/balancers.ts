/** Choosing one of a hundred endpoints. */
import type { Balance } from "../../../waypoint/model/cluster.ts";
import { Balancer } from "../../../waypoint/upstream/balance/balancer.ts";
import type { Host, HostSet } from "../../../waypoint/upstream/balance/host.ts";
import { casesOf, type MicroCase, type Work } from "./measure.ts";

const ENDPOINTS = 100;

function hosts(): HostSet<Host> {
  const each = Array.from({ length: ENDPOINTS }, (_, index) => ({
    health: "healthy" as const,
    host: {
      hashKey: `10.244.1.${index}:8080`,
      hostname: "",
      weight: 1,
      priority: 0,
      active: index % 3,
      sinceMs: 0,
    },
  }));
  return {
    levels: [{ localities: [{ weight: 1, hosts: each }] }],
    overprovisioningFactor: 140,
    weightedPriorityHealth: false,
  };
}

function choosing(balance: Balance): () => Work {
  return () => {
    const settings = { balance, panicThresholdPercent: 50, localityWeighted: false };
    const balancer = new Balancer(settings, hosts(), { random: Math.random, nowMs: () => 0 });
    const hashes = Array.from({ length: 64 }, (_, index) => BigInt(index) * 0x9e3779b97f4a7c15n);
    const choices = hashes.map((hash) => ({
      hash: BigInt.asUintN(64, hash),
      tried: [],
      moreAttempts: 0,
      previousPriorities: undefined,
    }));
    return (times) => {
      let chosen = 0;
      for (let time = 0; time < times; time++) {
        const choice = choices[time & 63];
        if (choice !== undefined && balancer.pick(choice) !== undefined) chosen++;
      }
      return chosen;
    };
  };
}

const balances: readonly (readonly [string, Balance])[] = [
  ["round robin", { kind: "round-robin", slowStart: undefined }],
  [
    "least request",
    { kind: "least-request", choices: 2, activeRequestBias: 1, slowStart: undefined },
  ],
  [
    "ring hash",
    { kind: "ring-hash", minRingSize: 1024, maxRingSize: 8 * 1024 * 1024, byHostname: false },
  ],
  ["Maglev", { kind: "maglev", tableSize: 65_537, byHostname: false }],
];

export const balancerCases: readonly MicroCase[] = casesOf(
  "balancer",
  balances.map(([name, balance]) => [
    `one of ${ENDPOINTS} endpoints by ${name}`,
    choosing(balance),
  ]),
);
