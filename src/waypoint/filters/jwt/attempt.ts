/**
 * One request against its requirement. The decision itself is synchronous and starts over when something it waited for
 * (keys, a signature) has come; a request whose token was seen before never waits.
 */
import type { RequestHead } from "../../http/message.ts";
import { checkClaims, providerOf } from "./check.ts";
import type { JwtProvider } from "./config.ts";
import type { VerificationKeys } from "./keys.ts";
import { type LocatedToken, locate } from "./locate.ts";
import type { RemoteKeySets } from "./remote-key-sets.ts";
import type { JwtStatus } from "./status.ts";
import { parseToken, type Token } from "./token.ts";
import type { LenientVerifier, Verifier } from "./verifier.ts";

export interface Accepted {
  readonly provider: JwtProvider;
  readonly token: Token;
  readonly located: LocatedToken;
  /** Which of the requirement's parts took it: each part writes its headers anew. */
  readonly part: number;
}

export interface Failed {
  readonly provider: JwtProvider;
  readonly status: JwtStatus;
}

export type AttemptResult =
  | {
      readonly kind: "done";
      readonly status: JwtStatus;
      readonly accepted: readonly Accepted[];
      /** For failed_status_in_metadata. */
      readonly failed: readonly Failed[];
    }
  /** Try again afterwards. */
  | { readonly kind: "pending"; readonly wait: Promise<unknown> };

/** Undefined: not known yet; what has to be waited for is noted. */
type Answer = JwtStatus | undefined;

export class Attempt {
  readonly #head: RequestHead;
  readonly #keySets: RemoteKeySets;
  readonly #nowS: number;
  /** Signatures judged for this request, by token and keys: also those that no cache keeps. */
  readonly #judged = new Map<VerificationKeys, Map<string, JwtStatus>>();
  #accepted: Accepted[] = [];
  #failed: Failed[] = [];
  #waits: Promise<unknown>[] = [];
  #part = 0;

  constructor(head: RequestHead, keySets: RemoteKeySets, nowS: number) {
    this.#head = head;
    this.#keySets = keySets;
    this.#nowS = nowS;
  }

  run(verifier: Verifier): AttemptResult {
    this.#accepted = [];
    this.#failed = [];
    this.#waits = [];
    this.#part = 0;
    const status = this.#verify(verifier);
    if (status === undefined) return { kind: "pending", wait: Promise.all(this.#waits) };
    return { kind: "done", status, accepted: this.#accepted, failed: this.#failed };
  }

  #verify(verifier: Verifier): Answer {
    switch (verifier.kind) {
      case "provider":
        return this.#strict(verifier);
      case "any":
        return this.#any(verifier.of);
      case "all":
        return this.#all(verifier.of);
      case "lenient":
        return this.#lenient(verifier);
    }
  }

  #any(verifiers: readonly Verifier[]): Answer {
    let worst: JwtStatus = "Jwt is missing";
    for (const verifier of verifiers) {
      const status = this.#verify(verifier);
      if (status === undefined || status === "OK") return status;
      worst = moreTelling(worst, status);
    }
    return worst;
  }

  #all(verifiers: readonly Verifier[]): Answer {
    for (const verifier of verifiers) {
      const status = this.#verify(verifier);
      if (status !== "OK") return status;
    }
    return "OK";
  }

  /** Every token must be good: one that passed unseen beside a good one could be the one that the application takes. */
  #strict({ provider, audiences, locations }: Extract<Verifier, { kind: "provider" }>): Answer {
    const tokens = locate(locations, this.#head);
    this.#part++;
    let status: Answer = "Jwt is missing";
    for (let at = tokens.length - 1; at >= 0; at--) {
      const located = tokens[at];
      if (located === undefined) continue;
      status = this.#token(located, [provider], audiences);
      if (status === undefined) return undefined;
      if (status !== "OK") break;
    }
    if (status !== "OK") this.#failed.push({ provider, status });
    return status;
  }

  #lenient({ failedToo, providers, locations }: LenientVerifier): Answer {
    const tokens = locate(locations, this.#head);
    this.#part++;
    let status: JwtStatus = "OK";
    for (let at = tokens.length - 1; at >= 0; at--) {
      const located = tokens[at];
      if (located === undefined) continue;
      const answer = this.#token(located, providers, undefined);
      if (answer === undefined) return undefined;
      if (answer === "OK") continue;
      status = answer;
      // Where bad ones are fine, good ones beside them still are looked for.
      if (!failedToo) break;
    }
    return failedToo ? "OK" : status;
  }

  #token(
    located: LocatedToken,
    providers: readonly JwtProvider[],
    audiences: readonly string[] | undefined,
  ): Answer {
    const only = providers.length === 1 ? providers[0] : undefined;
    const known = only === undefined ? undefined : this.#keysOf(only)?.verified(located.text);
    const parsed = known ?? parsedToken(located.text);
    if (typeof parsed === "string") return parsed;
    const provider = issuerOf(located, providers, parsed);
    if (provider === undefined) return "Jwt issuer is not configured";
    const claims = checkClaims(parsed, provider, audiences, this.#nowS);
    if (claims !== "OK") return claims;
    const status = known === undefined ? this.#signature(parsed, provider) : "OK";
    if (status === "OK")
      this.#accepted.push({ provider, token: parsed, located, part: this.#part });
    return status;
  }

  #signature(token: Token, provider: JwtProvider): Answer {
    const { keys: source } = provider;
    if (source.kind === "local") return this.#judge(token, source.keys);
    const now = this.#keySets.get(source.spec).now();
    if (now.kind === "failed") return "Jwks remote fetch is failed";
    if (now.kind === "keys") return this.#judge(token, now.keys);
    this.#waits.push(now.fetched);
    return undefined;
  }

  #judge(token: Token, keys: VerificationKeys): Answer {
    if (keys.verified(token.text) !== undefined) return "OK";
    let judged = this.#judged.get(keys);
    if (judged === undefined) {
      judged = new Map();
      this.#judged.set(keys, judged);
    }
    const status = judged.get(token.text);
    if (status !== undefined) return status;
    const verdicts = judged;
    this.#waits.push(
      keys.verify(token).then((verdict) => {
        verdicts.set(token.text, verdict);
      }),
    );
    return undefined;
  }

  /** Keys at hand, without fetching any. */
  #keysOf({ keys: source }: JwtProvider): VerificationKeys | undefined {
    return source.kind === "local" ? source.keys : this.#keySets.get(source.spec).atHand();
  }
}

function parsedToken(text: string): Token | JwtStatus {
  const parsed = parseToken(text);
  return parsed.kind === "token" ? parsed.token : parsed.status;
}

/** The provider must be one that looks at the place where the token stood. */
function issuerOf(
  { location }: LocatedToken,
  providers: readonly JwtProvider[],
  token: Token,
): JwtProvider | undefined {
  return providerOf(
    location.providers.filter((provider) => providers.includes(provider)),
    token.iss,
  );
}

/** Of several alternatives the client is told of the one whose token it sent. */
function moreTelling(known: JwtStatus, status: JwtStatus): JwtStatus {
  return vagueness(status) <= vagueness(known) ? status : known;
}

function vagueness(status: JwtStatus): number {
  if (status === "Jwt is missing") return 2;
  return status === "Jwt issuer is not configured" ? 1 : 0;
}
