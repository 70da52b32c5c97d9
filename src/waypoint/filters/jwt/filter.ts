/** Tokens of requests, checked against the providers of a RequestAuthentication (wire/waypoint.md section 6.4). */
import type { RequestHead } from "../../http/message.ts";
import type { RouteMatch } from "../../model/route.ts";
import { firstMismatch, pathOnly } from "../../routing/select.ts";
import type { FilterEnvironment } from "../environment.ts";
import {
  continueRequest,
  type FilterDecision,
  type FilterVerdict,
  type HttpFilter,
  type RequestContext,
} from "../filter.ts";
import { Attempt, type AttemptResult } from "./attempt.ts";
import type { JwtConfig } from "./config.ts";
import { applyAll, applyFailure, ownHeaders } from "./effects.ts";
import { type JwtStatus, rejection } from "./status.ts";
import { type Verifier, verifierOf } from "./verifier.ts";

/** Keys, then a signature for each token of each provider: more rounds mean that something does not come to rest. */
const MAX_ROUNDS = 16;
const MAX_REALM_PATH_CHARS = 256;

interface Rule {
  readonly match: RouteMatch;
  readonly verifier: Verifier | undefined;
}

type Done = Extract<AttemptResult, { readonly kind: "done" }>;

export class JwtFilter implements HttpFilter {
  readonly name: string;
  readonly clusters: readonly string[];
  readonly #config: JwtConfig;
  readonly #environment: FilterEnvironment;
  readonly #rules: readonly Rule[];
  readonly #ownHeaders: readonly string[];
  readonly #accepted: FilterDecision;
  readonly #nothingToCheck: FilterDecision;

  constructor(name: string, config: JwtConfig, environment: FilterEnvironment) {
    this.name = name;
    this.clusters = [...config.providers.values()].flatMap(({ keys }) =>
      keys.kind === "remote" ? [keys.spec.cluster] : [],
    );
    this.#config = config;
    this.#environment = environment;
    this.#rules = config.rules.map(({ match, requires }) => ({
      match,
      verifier: requires && verifierOf(requires, config),
    }));
    this.#ownHeaders = ownHeaders(config);
    this.#accepted = { filter: name, outcome: "jwt-accepted", reason: "the token is good" };
    this.#nothingToCheck = {
      filter: name,
      outcome: "jwt-absent",
      reason: "there is no token, and none is required",
    };
  }

  onRequest(context: RequestContext): FilterVerdict | Promise<FilterVerdict> {
    const { head } = context;
    if (this.#config.bypassCorsPreflight && isCorsPreflight(head)) return continueRequest;
    const verifier = this.#verifierFor(context);
    if (verifier === undefined) return continueRequest;
    for (const name of this.#ownHeaders) head.fields.remove(name);
    const { clock, keySets } = this.#environment;
    const attempt = new Attempt(head, keySets, Math.floor(clock.wallMs() / 1000));
    const result = attempt.run(verifier);
    return result.kind === "done"
      ? this.#conclude(result, context)
      : this.#later(attempt, verifier, result.wait, context);
  }

  #verifierFor(context: RequestContext): Verifier | undefined {
    const path = pathOnly(context.head.path);
    for (const { match, verifier } of this.#rules)
      if (firstMismatch(match, path, context.head, context) === undefined) return verifier;
    return undefined;
  }

  async #later(
    attempt: Attempt,
    verifier: Verifier,
    wait: Promise<unknown>,
    context: RequestContext,
  ): Promise<FilterVerdict> {
    let pending = wait;
    for (let round = 0; round < MAX_ROUNDS; round++) {
      await pending;
      const result = attempt.run(verifier);
      if (result.kind === "done") return this.#conclude(result, context);
      pending = result.wait;
    }
    return this.#reject("Jwks remote fetch is failed", context);
  }

  #conclude({ status, accepted, failed }: Done, context: RequestContext): FilterVerdict {
    for (const one of failed) applyFailure(one, context);
    if (status !== "OK") return this.#reject(status, context);
    // The reason of the challenge is the request as it came, so nothing is changed before all is decided.
    applyAll(accepted, context);
    context.note(accepted.length === 0 ? this.#nothingToCheck : this.#accepted);
    return continueRequest;
  }

  #reject(status: JwtStatus, context: RequestContext): FilterVerdict {
    context.note({ filter: this.name, outcome: "jwt-rejected", reason: status });
    const reply = rejection(status, realmOf(context.head), this.#config.stripFailureResponse);
    return { kind: "reply", reply };
  }
}

/** A preflight carries no credentials (Fetch standard, section 4.8). */
function isCorsPreflight({ method, fields }: RequestHead): boolean {
  return (
    method === "OPTIONS" &&
    (fields.get("origin") ?? "") !== "" &&
    (fields.get("access-control-request-method") ?? "") !== ""
  );
}

function realmOf(head: RequestHead): string {
  const scheme = head.fields.get("x-forwarded-proto") ?? head.scheme;
  const path = (head.fields.get("x-envoy-original-path") ?? head.path).slice(
    0,
    MAX_REALM_PATH_CHARS,
  );
  return `${scheme}://${head.authority}${path}`;
}
