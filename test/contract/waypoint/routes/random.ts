/** Random routes and requests over a small alphabet, so that they meet often. Seeded: a failure can be run again. */
import type { JsonValue } from "@bufbuild/protobuf";
import type { ProbeRequest } from "./rig.ts";

export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(bound: number): number {
    this.#state = (Math.imul(this.#state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return (this.#state >> 8) % bound;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)] as T;
  }

  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  some<T>(values: readonly T[], most: number): T[] {
    return Array.from({ length: this.below(most + 1) }, () => this.pick(values));
  }
}

const segments = ["a", "b", "A", "ab", "foo", "foo.bar", "1", "42", ""];
const patterns = [
  "/a/.*",
  "/[a-z]+",
  "/(a|ab)/?.*",
  ".*b",
  "/foo\\.bar.*",
  "/[^/]+/[0-9]+",
  "/.+",
  "",
];
const templates = ["/*/b", "/a/**", "/{x}/{y}", "/a/{rest=**}", "/foo/*/1"];
const names = ["x-one", "x-two", "x-three", ":method", ":authority", "host"];
const values = ["v", "V", "value", "", "7", "-3", "10", "12x", "a,b", "GET", "probe.test"];
const queries = ["q", "r", "qq"];

function path(dice: Dice): string {
  return `/${Array.from({ length: dice.below(4) }, () => dice.pick(segments)).join("/")}`;
}

function stringMatch(dice: Dice): Record<string, JsonValue> {
  if (dice.chance(20)) return { safe_regex: { regex: dice.pick(["v.*", "[0-9]+", ".*", "a,b"]) } };
  const kind = dice.pick(["exact", "prefix", "suffix", "contains"]);
  const text = dice.pick(values);
  // Envoy wants something to compare with, but for exact.
  const match = { [kind]: kind === "exact" ? text : text || "v" };
  return dice.chance(30) ? { ...match, ignore_case: true } : match;
}

function headerMatch(dice: Dice): Record<string, JsonValue> {
  const matcher: Record<string, JsonValue> = { name: dice.pick(names) };
  const kind = dice.below(10);
  if (kind === 0) matcher["present_match"] = dice.chance(50);
  else if (kind === 1) matcher["range_match"] = { start: "-5", end: "12" };
  else if (kind === 2) matcher["exact_match"] = dice.pick(values);
  else if (kind > 3) matcher["string_match"] = stringMatch(dice);
  if (dice.chance(25)) matcher["invert_match"] = true;
  if (dice.chance(25)) matcher["treat_missing_header_as_empty"] = true;
  return matcher;
}

function queryMatch(dice: Dice): Record<string, JsonValue> {
  const name = dice.pick(queries);
  const kind = dice.below(3);
  if (kind === 0) return { name };
  if (kind === 1) return { name, present_match: dice.chance(70) };
  return { name, string_match: stringMatch(dice) };
}

function match(dice: Dice): Record<string, JsonValue> {
  const made: Record<string, JsonValue> = {};
  const kind = dice.below(10);
  if (kind < 4) made["prefix"] = path(dice);
  else if (kind < 6) made["path"] = path(dice);
  else if (kind < 8) made["path_separated_prefix"] = path(dice).replace(/\/+$/, "") || "/a";
  else if (kind === 8) made["safe_regex"] = { regex: dice.pick(patterns) || ".*" };
  else
    made["path_match_policy"] = {
      name: "template",
      typed_config: {
        "@type":
          "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
        path_template: dice.pick(templates),
      },
    };
  if (kind < 8 && dice.chance(25)) made["case_sensitive"] = false;
  const headers = dice.some([0], 2).map(() => headerMatch(dice));
  if (headers.length > 0) made["headers"] = headers;
  if (dice.chance(20)) made["query_parameters"] = [queryMatch(dice)];
  if (dice.chance(5)) made["grpc"] = {};
  return made;
}

/** Envoy refuses a prefix rewrite beside a template. */
function action(dice: Dice, prefixes: boolean): Record<string, JsonValue> {
  const kind = dice.below(10);
  if (kind < 5)
    return { direct_response: { status: dice.pick([200, 201, 204, 302, 304, 404, 503]) } };
  if (kind < 8) return { redirect: redirect(dice, prefixes) };
  return { route: forward(dice, prefixes) };
}

const rewrite = { pattern: { regex: "/(a|b)" }, substitution: "/<\\1>" };

function redirect(dice: Dice, prefixes: boolean): Record<string, JsonValue> {
  const made: Record<string, JsonValue> = {
    response_code: dice.pick(["MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "PERMANENT_REDIRECT"]),
  };
  if (dice.chance(30)) made["host_redirect"] = "other.test";
  if (dice.chance(30)) made["port_redirect"] = 8443;
  const scheme = dice.below(5);
  if (scheme === 0) made["https_redirect"] = true;
  if (scheme === 1) made["scheme_redirect"] = dice.pick(["https", "ftp"]);
  const path = dice.below(5);
  if (path === 0) made["path_redirect"] = dice.pick(["/new", "/new?x=1", "new"]);
  if (path === 1 && prefixes) made["prefix_rewrite"] = dice.pick(["/p", "/", "/p/"]);
  if (path === 2) made["regex_rewrite"] = rewrite;
  if (dice.chance(30)) made["strip_query"] = true;
  return made;
}

function forward(dice: Dice, prefixes: boolean): Record<string, JsonValue> {
  const made: Record<string, JsonValue> = { cluster: "a" };
  const path = dice.below(3);
  if (path === 0 && prefixes) made["prefix_rewrite"] = dice.pick(["/p", "/", "/p/"]);
  if (path === 1) made["regex_rewrite"] = rewrite;
  const host = dice.below(4);
  if (host === 0) made["host_rewrite_literal"] = "rewritten.test";
  if (host === 1) made["host_rewrite_header"] = "x-one";
  if (host === 2)
    made["host_rewrite_path_regex"] = { pattern: { regex: "^/(.+)/.*$" }, substitution: "h\\1" };
  if (dice.chance(40)) made["append_x_forwarded_host"] = true;
  return made;
}

const formats = [
  "plain",
  "100%%",
  "%REQ(x-one)%",
  "<%REQ(x-none?x-two):2%>",
  "%REQ(:path)%|%REQ(:method)%",
  "%REQ(x-none)%",
  "%PROTOCOL%",
  "%ROUTE_NAME%",
  "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  "%REQ(x-t-one)%",
];

function headerOption(dice: Dice, prefix: string): Record<string, JsonValue> {
  const option: Record<string, JsonValue> = {
    header: { key: dice.pick([`${prefix}one`, `${prefix}two`]), value: dice.pick(formats) },
    append_action: dice.pick([
      "APPEND_IF_EXISTS_OR_ADD",
      "ADD_IF_ABSENT",
      "OVERWRITE_IF_EXISTS_OR_ADD",
      "OVERWRITE_IF_EXISTS",
    ]),
  };
  if (dice.chance(20)) option["keep_empty_value"] = true;
  return option;
}

function headerLists(dice: Dice): Record<string, JsonValue> {
  const made: Record<string, JsonValue> = {};
  if (dice.chance(50))
    made["request_headers_to_add"] = dice.some([0], 3).map(() => headerOption(dice, "x-t-"));
  if (dice.chance(15)) made["request_headers_to_remove"] = ["x-t-two"];
  return made;
}

export function randomConfig(dice: Dice, name: string, routes: number): JsonValue {
  const made = Array.from({ length: routes }, (_unused, index) => {
    const lists = headerLists(dice);
    const out = dice.chance(30) ? [headerOption(dice, "x-out-")] : [];
    const mark = { header: { key: "x-route", value: `r${index}` } };
    const shown = { name: `r${index}`, ...lists, response_headers_to_add: [mark, ...out] };
    const matched = match(dice);
    return { match: matched, ...action(dice, !("path_match_policy" in matched)), ...shown };
  });
  const hosts = [
    { name: "exact", domains: ["exact.test", "EXACT2.test:80"], routes: made.slice(0, 4) },
    { name: "suffix", domains: ["*.wild.test", "*deep.wild.test"], routes: made.slice(4, 8) },
    { name: "prefix", domains: ["probe.*"], ...headerLists(dice), routes: made.slice(4) },
  ];
  const any = dice.chance(70) ? [{ name: "any", domains: ["*"], routes: made }] : [];
  return {
    name,
    virtual_hosts: [...hosts, ...any],
    ...headerLists(dice),
    most_specific_header_mutations_wins: dice.chance(50),
  };
}

const hosts = [
  "probe.test",
  "probe.test",
  "exact.test",
  "EXACT.test",
  "exact2.test:80",
  "exact2.test",
  "x.wild.test",
  "wild.test",
  ".wild.test",
  "verydeep.wild.test",
  "deep.wild.test",
  "probe.",
  "elsewhere.test:80",
  "elsewhere.test:81",
];

export function randomRequest(dice: Dice): ProbeRequest {
  const query = dice
    .some([0], 3)
    .map(() => dice.pick(queries) + dice.pick(["", "=", "=v", "=7", "=%41", "==v", "=a=b"]))
    .join("&");
  const headers = dice
    .some([0], 3)
    .map(
      () =>
        [
          dice.pick(["x-one", "x-two", "x-three", "X-One", "x-t-one", "x-t-two"]),
          dice.pick(values),
        ] as const,
    );
  if (dice.chance(10))
    headers.push([
      "content-type",
      dice.pick([
        "application/grpc",
        "application/grpc+proto",
        "application/grpc-web",
        "text/plain",
      ]),
    ]);
  const request = {
    method: dice.pick(["GET", "GET", "DELETE", "HEAD"]),
    path: path(dice) + dice.pick(["", "", "?"]) + (query === "" ? "" : `?${query}`),
    host: dice.pick(hosts),
    headers,
  };
  return request;
}
