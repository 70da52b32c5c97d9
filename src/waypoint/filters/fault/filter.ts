/** Delays and aborts on purpose, by the route's or the filter's plan (Envoy's fault filter). */
import {
  continueRequest,
  type FilterVerdict,
  type HttpFilter,
  type RequestContext,
} from "../filter.ts";
import { perRoute } from "../per-route.ts";
import { applies, drawAbort, drawDelayMs, type Fault } from "./draw.ts";
import type { FaultPlan } from "./plan.ts";

export class FaultFilter implements HttpFilter {
  readonly name: string;
  readonly #plan: FaultPlan;

  constructor(name: string, plan: FaultPlan) {
    this.name = name;
    this.#plan = plan;
  }

  onRequest(context: RequestContext): FilterVerdict | Promise<FilterVerdict> {
    const plan = perRoute(context.route, this.name, "fault")?.fault ?? this.#plan;
    if (plan.delay === undefined && plan.abort === undefined) return continueRequest;
    if (!applies(plan, context.head)) return continueRequest;
    const delayMs = drawDelayMs(plan.delay, context.head, context.random);
    if (delayMs === undefined) return this.#abort(context, plan);
    context.addFlag("DI");
    context.note({ filter: this.name, outcome: "delayed", reason: `by ${delayMs} ms` });
    return this.#abortLater(context, plan, delayMs);
  }

  async #abortLater(
    context: RequestContext,
    plan: FaultPlan,
    delayMs: number,
  ): Promise<FilterVerdict> {
    try {
      await context.clock.sleep(delayMs, context.over);
    } catch {
      // The request ended while it waited: whatever is said here goes nowhere.
      return continueRequest;
    }
    return this.#abort(context, plan);
  }

  #abort(context: RequestContext, plan: FaultPlan): FilterVerdict {
    const fault = drawAbort(plan.abort, context.head, context.random);
    if (fault === undefined) return continueRequest;
    context.note({ filter: this.name, outcome: "aborted", reason: faultWords(fault) });
    return {
      kind: "reply",
      reply: {
        status: fault.kind === "http" ? fault.status : 200,
        body: "fault filter abort",
        details: "fault_filter_abort",
        flags: ["FI"],
        ...(fault.kind === "grpc" ? { grpcStatus: fault.status } : {}),
      },
    };
  }
}

function faultWords(fault: Fault): string {
  return fault.kind === "http"
    ? `the route's fault answers ${fault.status}`
    : `the route's fault answers gRPC status ${fault.status}`;
}
