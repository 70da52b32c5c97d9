/** The hash that chooses an endpoint, from a route's hash policies. Pure but for the cookie it may ask for. */
import type { RequestHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { HashPolicy } from "../model/route.ts";
import { queryParameter } from "./select.ts";
import { xxHash64 } from "./xxhash64.ts";

export interface RouteHash {
  /** Undefined: no policy applies, any endpoint will do. */
  readonly hash: bigint | undefined;
  /** Values of Set-Cookie for the answer: the client has no cookie yet, and the route makes one. */
  readonly setCookies: readonly string[];
}

const noHash: RouteHash = { hash: undefined, setCookies: [] };

export function hashRequest(
  policies: readonly HashPolicy[],
  head: RequestHead,
  downstream: DownstreamInfo,
): RouteHash {
  if (policies.length === 0) return noHash;
  let hash: bigint | undefined;
  const setCookies: string[] = [];
  for (const policy of policies) {
    const one = policyHash(policy, head, downstream, setCookies);
    // Rotated, so that two equal values do not cancel out.
    if (one !== undefined)
      hash = hash === undefined ? one : (BigInt.asUintN(64, hash << 1n) | (hash >> 63n)) ^ one;
    if (policy.terminal && hash !== undefined) break;
  }
  return { hash, setCookies };
}

function policyHash(
  policy: HashPolicy,
  head: RequestHead,
  downstream: DownstreamInfo,
  setCookies: string[],
): bigint | undefined {
  switch (policy.kind) {
    case "header":
      return headerHash(policy, head);
    case "query":
      return hashOf(queryParameter(head.path, policy.name));
    case "source-ip":
      return xxHash64(downstream.source.ip);
    case "cookie":
      return cookieHash(policy, head, downstream, setCookies);
  }
}

function hashOf(value: string | undefined): bigint | undefined {
  return value === undefined ? undefined : xxHash64(value);
}

function headerHash(
  { name, rewrite }: Extract<HashPolicy, { readonly kind: "header" }>,
  head: RequestHead,
): bigint | undefined {
  const values = headerValues(head, name);
  if (values.length === 0) return undefined;
  const hashed =
    rewrite === undefined
      ? values
      : values.map((value) => rewrite.regex.replaceAll(value, rewrite.substitution));
  // Sorted, so that the order of the fields does not matter; each seeds the next.
  return hashed.sort().reduce((seed, value) => xxHash64(value, seed), 0n);
}

function headerValues({ fields, authority, path, method }: RequestHead, name: string): string[] {
  if (name === ":authority" || name === "host") return [authority];
  if (name === ":path") return [path];
  if (name === ":method") return [method];
  const values: string[] = [];
  const { flat } = fields;
  for (let at = 0; at < flat.length; at += 2)
    if (flat[at] === name) values.push(flat[at + 1] ?? "");
  return values;
}

type CookiePolicy = Extract<HashPolicy, { readonly kind: "cookie" }>;

function cookieHash(
  policy: CookiePolicy,
  head: RequestHead,
  downstream: DownstreamInfo,
  setCookies: string[],
): bigint | undefined {
  const value = cookieValue(head, policy.name);
  if (value !== "") return xxHash64(value);
  if (policy.ttlMs === undefined) return undefined;
  const made = cookieFor(downstream);
  setCookies.push(setCookie(policy, made));
  return xxHash64(made);
}

/** "" when there is none. Quotes around the value do not belong to it. */
function cookieValue({ fields }: RequestHead, name: string): string {
  const { flat } = fields;
  for (let at = 0; at < flat.length; at += 2) {
    if (flat[at] !== "cookie") continue;
    for (const pair of (flat[at + 1] ?? "").split(";")) {
      const equals = pair.indexOf("=");
      if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
      return pair
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, "$1");
    }
  }
  return "";
}

/** The same for all requests of a connection: streams that race all get this cookie. */
function cookieFor({ source, destination }: DownstreamInfo): string {
  const text = `${source.ip}:${source.port}${destination.ip}:${destination.port}`;
  return xxHash64(text).toString(16).padStart(16, "0");
}

function setCookie({ name, ttlMs, path, attributes }: CookiePolicy, value: string): string {
  let cookie = `${name}="${value}"`;
  const maxAgeS = Math.floor((ttlMs ?? 0) / 1000);
  if (maxAgeS > 0) cookie += `; Max-Age=${maxAgeS}`;
  if (path !== "") cookie += `; Path=${path}`;
  for (const [attribute, given] of attributes)
    cookie += given === "" ? `; ${attribute}` : `; ${attribute}=${given}`;
  return `${cookie}; HttpOnly`;
}
