/** Load-balancing policies and their settings; what is not set is as Envoy has it. */
import {
  type Cluster,
  Cluster_LeastRequestLbConfigSchema,
  Cluster_MaglevLbConfigSchema,
  Cluster_RingHashLbConfigSchema,
  Cluster_RoundRobinLbConfigSchema,
  type Cluster_SlowStartConfig,
  Cluster_SlowStartConfigSchema,
  Cluster_CommonLbConfig_ConsistentHashingLbConfigSchema as ConsistentSchema,
  Cluster_RingHashLbConfig_HashFunction as HashFunction,
  Cluster_LbPolicy as LbPolicy,
} from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import type { Balance, SlowStart } from "../model/cluster.ts";
import { milliseconds, percent } from "./cluster-values.ts";
import { at, CompileError, checkFields, type Notes, type Path } from "./notes.ts";

const maxRingSize = 8 * 1024 * 1024;
const maxTableSize = 5_000_011;

export function compileBalance(message: Cluster, path: Path, notes: Notes): Balance {
  const byHostname = compileConsistent(message, at(path, "common_lb_config"), notes);
  switch (message.lbPolicy) {
    case LbPolicy.ROUND_ROBIN:
      return { kind: "round-robin", slowStart: roundRobinSlowStart(message, path, notes) };
    case LbPolicy.LEAST_REQUEST:
      return compileLeastRequest(message, at(path, "least_request_lb_config"), notes);
    case LbPolicy.RANDOM:
      return { kind: "random" };
    case LbPolicy.RING_HASH:
      return compileRing(message, byHostname, at(path, "ring_hash_lb_config"), notes);
    case LbPolicy.MAGLEV:
      return compileMaglev(message, byHostname, at(path, "maglev_lb_config"), notes);
    case LbPolicy.CLUSTER_PROVIDED:
      return { kind: "provided" };
    default:
      throw new CompileError(
        at(path, "lb_policy"),
        `${LbPolicy[message.lbPolicy]} is not supported`,
      );
  }
}

function roundRobinSlowStart(message: Cluster, path: Path, notes: Notes): SlowStart | undefined {
  if (message.lbConfig.case !== "roundRobinLbConfig") return undefined;
  const config = message.lbConfig.value;
  const configPath = at(path, "round_robin_lb_config");
  checkFields(config, Cluster_RoundRobinLbConfigSchema, configPath, notes, {
    used: ["slow_start_config"],
  });
  return compileSlowStart(config.slowStartConfig, at(configPath, "slow_start_config"), notes);
}

function compileLeastRequest(message: Cluster, path: Path, notes: Notes): Balance {
  const config =
    message.lbConfig.case === "leastRequestLbConfig" ? message.lbConfig.value : undefined;
  if (config !== undefined)
    checkFields(config, Cluster_LeastRequestLbConfigSchema, path, notes, {
      used: ["choice_count", "active_request_bias", "slow_start_config"],
    });
  const choices = config?.choiceCount ?? 2;
  if (choices < 2) throw new CompileError(at(path, "choice_count"), "must be at least 2");
  const activeRequestBias = config?.activeRequestBias?.defaultValue ?? 1;
  if (activeRequestBias < 0)
    throw new CompileError(at(path, "active_request_bias"), "must not be negative");
  return {
    kind: "least-request",
    choices,
    activeRequestBias,
    slowStart: compileSlowStart(config?.slowStartConfig, at(path, "slow_start_config"), notes),
  };
}

/** The runtime keys that istiod gives have no meaning without a runtime: their defaults count. */
function compileSlowStart(
  message: Cluster_SlowStartConfig | undefined,
  path: Path,
  notes: Notes,
): SlowStart | undefined {
  if (message === undefined) return undefined;
  checkFields(message, Cluster_SlowStartConfigSchema, path, notes, {
    used: ["slow_start_window", "aggression", "min_weight_percent"],
  });
  const windowMs = milliseconds(message.slowStartWindow, 0);
  if (windowMs <= 0) return undefined;
  const aggression = message.aggression?.defaultValue ?? 1;
  if (aggression <= 0) throw new CompileError(at(path, "aggression"), "must be above 0");
  return {
    windowMs,
    aggression,
    minWeightPercent: percent(message.minWeightPercent?.value, 10, at(path, "min_weight_percent")),
  };
}

function compileRing(message: Cluster, byHostname: boolean, path: Path, notes: Notes): Balance {
  const config = message.lbConfig.case === "ringHashLbConfig" ? message.lbConfig.value : undefined;
  if (config !== undefined) {
    checkFields(config, Cluster_RingHashLbConfigSchema, path, notes, {
      used: ["minimum_ring_size", "maximum_ring_size", "hash_function"],
    });
    if (config.hashFunction !== HashFunction.XX_HASH)
      throw new CompileError(at(path, "hash_function"), "only XX_HASH is supported");
  }
  const minRingSize = Number(config?.minimumRingSize ?? 1024n);
  const ringLimit = Number(config?.maximumRingSize ?? BigInt(maxRingSize));
  if (ringLimit > maxRingSize)
    throw new CompileError(at(path, "maximum_ring_size"), `must be at most ${maxRingSize}`);
  if (minRingSize > ringLimit)
    throw new CompileError(at(path, "minimum_ring_size"), `must be at most ${ringLimit}`);
  return { kind: "ring-hash", minRingSize, maxRingSize: ringLimit, byHostname };
}

function compileMaglev(message: Cluster, byHostname: boolean, path: Path, notes: Notes): Balance {
  const config = message.lbConfig.case === "maglevLbConfig" ? message.lbConfig.value : undefined;
  if (config !== undefined)
    checkFields(config, Cluster_MaglevLbConfigSchema, path, notes, { used: ["table_size"] });
  const tableSize = Number(config?.tableSize ?? 65537n);
  if (tableSize > maxTableSize)
    throw new CompileError(at(path, "table_size"), `must be at most ${maxTableSize}`);
  if (!isPrime(tableSize))
    throw new CompileError(at(path, "table_size"), `must be prime, is ${tableSize}`);
  return { kind: "maglev", tableSize, byHostname };
}

function isPrime(value: number): boolean {
  if (value < 2) return false;
  for (let divisor = 2; divisor * divisor <= value; divisor++)
    if (value % divisor === 0) return false;
  return true;
}

function compileConsistent(message: Cluster, path: Path, notes: Notes): boolean {
  const config = message.commonLbConfig?.consistentHashingLbConfig;
  if (config === undefined) return false;
  checkFields(config, ConsistentSchema, at(path, "consistent_hashing_lb_config"), notes, {
    used: ["use_hostname_for_hashing"],
  });
  return config.useHostnameForHashing;
}
