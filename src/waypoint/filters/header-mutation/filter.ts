/** Changes headers where it stands in the chain. */
import type { ResponseHead } from "../../http/message.ts";
import { mutateHeaders } from "../../routing/headers.ts";
import {
  continueRequest,
  type FilterVerdict,
  type HttpFilter,
  type RequestContext,
} from "../filter.ts";
import type { HeaderMutationPlan } from "./plan.ts";

export class HeaderMutationFilter implements HttpFilter {
  readonly name: string;
  readonly #plan: HeaderMutationPlan;

  constructor(name: string, plan: HeaderMutationPlan) {
    this.name = name;
    this.#plan = plan;
  }

  onRequest(context: RequestContext): FilterVerdict {
    for (const step of this.#plan.request) mutateHeaders(step, context.head.fields, context);
    return continueRequest;
  }

  onResponse(context: RequestContext, head: ResponseHead): void {
    for (const step of this.#plan.response) mutateHeaders(step, head.fields, context);
  }
}
