/** Fault injection: as a filter without settings, and with them on routes. */

import type { Duration } from "@bufbuild/protobuf/wkt";
import {
  type FaultDelay as FaultDelayMessage,
  FaultDelaySchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/common/fault/v3/fault_pb.js";
import {
  type FaultAbort as FaultAbortMessage,
  FaultAbortSchema,
  HTTPFaultSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { FaultFilter } from "../../filters/fault/filter.ts";
import type { FaultAbort, FaultDelay, FaultPlan } from "../../filters/fault/plan.ts";
import type { HttpFilter } from "../../filters/filter.ts";
import { compileHeaderMatcher } from "../matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { compileFraction } from "../value-matchers.ts";
import { readConfig, type TypedConfig } from "./typed-config.ts";

export function compileFault(
  name: string,
  config: TypedConfig,
  path: Path,
  notes: Notes,
): HttpFilter {
  return new FaultFilter(name, compileFaultPlan(config, path, notes));
}

export function compileFaultPlan(config: TypedConfig, path: Path, notes: Notes): FaultPlan {
  const message = readConfig(config, HTTPFaultSchema, path);
  checkFields(message, HTTPFaultSchema, path, notes, {
    used: ["delay", "abort", "headers", "downstream_nodes"],
    // Names of runtime keys: there is no runtime to override them. The rest is statistics.
    decorative: [
      "delay_percent_runtime",
      "abort_percent_runtime",
      "delay_duration_runtime",
      "abort_http_status_runtime",
      "max_active_faults_runtime",
      "response_rate_limit_percent_runtime",
      "abort_grpc_status_runtime",
      "disable_downstream_cluster_stats",
      "filter_metadata",
    ],
  });
  const { delay, abort } = message;
  return {
    delay: delay && compileDelay(delay, at(path, "delay"), notes),
    abort: abort && compileAbort(abort, at(path, "abort"), notes),
    headers: message.headers.map((each, index) =>
      compileHeaderMatcher(each, item(path, "headers", index), notes),
    ),
    downstreamNodes: new Set(message.downstreamNodes),
  };
}

function compileDelay(message: FaultDelayMessage, path: Path, notes: Notes): FaultDelay {
  checkFields(message, FaultDelaySchema, path, notes, {
    used: ["fixed_delay", "header_delay", "percentage"],
  });
  const fraction = compileFraction(message.percentage, at(path, "percentage"));
  const secifier = message.faultDelaySecifier;
  if (secifier.case === "headerDelay") return { kind: "header", fraction };
  const delayMs = secifier.case === "fixedDelay" ? durationMs(secifier.value) : 0;
  if (delayMs <= 0) throw new CompileError(at(path, "fixed_delay"), "is not positive");
  return { kind: "fixed", delayMs, fraction };
}

function durationMs(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / 1e6;
}

function compileAbort(message: FaultAbortMessage, path: Path, notes: Notes): FaultAbort {
  checkFields(message, FaultAbortSchema, path, notes, {
    used: ["http_status", "grpc_status", "header_abort", "percentage"],
  });
  const fraction = compileFraction(message.percentage, at(path, "percentage"));
  const { errorType } = message;
  switch (errorType.case) {
    case "httpStatus":
      if (errorType.value < 200 || errorType.value >= 600)
        throw new CompileError(at(path, "http_status"), "is not from 200 to 599");
      return { kind: "http", status: errorType.value, fraction };
    case "grpcStatus":
      return { kind: "grpc", status: errorType.value, fraction };
    case "headerAbort":
      return { kind: "header", fraction };
    default:
      throw new CompileError(path, "says neither http_status nor grpc_status nor header_abort");
  }
}
