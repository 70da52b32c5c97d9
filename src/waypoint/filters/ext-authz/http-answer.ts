/** The answer of an HTTP server: 200 lets the request pass, 5xx is an error, everything else denies. */
import type { StringMatcher } from "../../model/matchers.ts";
import { matchesString } from "../../routing/match.ts";
import type { HttpOutcome } from "../upstream-calls.ts";
import { type AuthzAnswer, type HeaderPair, type MetadataStruct, noChanges } from "./answer.ts";
import type { HttpAnswerRules } from "./config.ts";

const HEADERS_TO_REMOVE = "x-envoy-auth-headers-to-remove";

/** They reach the client of a denied request whatever the rules say. */
const alwaysToClient: ReadonlySet<string> = new Set(["www-authenticate", "location"]);

export function httpAnswer(outcome: HttpOutcome, rules: HttpAnswerRules): AuthzAnswer {
  if (outcome.kind === "failed")
    return { kind: "error", reason: `${outcome.reason}: ${outcome.detail}` };
  const { status, fields, body } = outcome.answer;
  if (status >= 500 || status < 200)
    return { kind: "error", reason: `the server answered ${status}` };
  const removed = fields.filter(([name]) => name === HEADERS_TO_REMOVE);
  const said = fields.filter(([name]) => name !== HEADERS_TO_REMOVE);
  const metadata = metadataOf(said, rules.toMetadata);
  if (status !== 200)
    return {
      kind: "denied",
      status,
      body: body.toString("utf8"),
      headers: said.filter(
        ([name]) =>
          rules.toClient === undefined || alwaysToClient.has(name) || any(rules.toClient, name),
      ),
      metadata,
    };
  return {
    kind: "ok",
    changes: {
      ...noChanges,
      set: said.filter(([name]) => any(rules.toUpstream, name)),
      add: said.filter(([name]) => any(rules.toUpstreamAppend, name)),
      remove: removed
        .flatMap(([, value]) => value.split(","))
        .map((name) => name.trim().toLowerCase())
        .filter((name) => name !== ""),
      responseAdd: said.filter(([name]) => any(rules.toClientOnSuccess, name)),
      metadata,
    },
  };
}

function any(matchers: readonly StringMatcher[], name: string): boolean {
  return matchers.some((matcher) => matchesString(matcher, name));
}

function metadataOf(
  fields: readonly HeaderPair[],
  matchers: readonly StringMatcher[],
): MetadataStruct | undefined {
  const kept = fields.filter(([name]) => any(matchers, name));
  return kept.length === 0 ? undefined : Object.fromEntries(kept);
}
