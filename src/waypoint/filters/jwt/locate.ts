/** Where tokens stand in a request, and how they are taken out of it. */
import type { RequestHead } from "../../http/message.ts";
import type { JwtLocations, JwtProvider } from "./config.ts";

/** One place to look at, and the providers that look there. */
export type Location = { readonly providers: readonly JwtProvider[] } & (
  | { readonly kind: "header"; readonly name: string; readonly valuePrefix: string }
  | { readonly kind: "param"; readonly name: string }
  | { readonly kind: "cookie"; readonly name: string }
);

export interface LocatedToken {
  readonly text: string;
  readonly location: Location;
}

/** What a provider without locations of its own means (RFC 6750 sections 2.1 and 2.3). */
const defaultLocations: JwtLocations = {
  headers: [{ name: "authorization", valuePrefix: "Bearer " }],
  params: ["access_token"],
  cookies: [],
};

/** Places in the order in which they are looked at: headers, parameters, cookies. Shared places stand once. */
export function locationsOf(providers: readonly JwtProvider[]): readonly Location[] {
  const found = new Map<string, { location: Location; providers: JwtProvider[] }>();
  const add = (key: string, provider: JwtProvider, of: (by: JwtProvider[]) => Location): void => {
    const known = found.get(key);
    if (known !== undefined) known.providers.push(provider);
    else {
      const list = [provider];
      found.set(key, { location: of(list), providers: list });
    }
  };
  const all = providers.map((provider) => ({ provider, at: effective(provider.locations) }));
  for (const { provider, at } of all)
    for (const { name, valuePrefix } of at.headers)
      add(`header ${name} ${valuePrefix}`, provider, (list) => ({
        kind: "header",
        name,
        valuePrefix,
        providers: list,
      }));
  for (const { provider, at } of all)
    for (const name of at.params)
      add(`param ${name}`, provider, (list) => ({ kind: "param", name, providers: list }));
  for (const { provider, at } of all)
    for (const name of at.cookies)
      add(`cookie ${name}`, provider, (list) => ({ kind: "cookie", name, providers: list }));
  return [...found.values()].map(({ location }) => location);
}

function effective(locations: JwtLocations): JwtLocations {
  const { headers, params, cookies } = locations;
  return headers.length + params.length + cookies.length === 0 ? defaultLocations : locations;
}

export function locate(locations: readonly Location[], head: RequestHead): readonly LocatedToken[] {
  const found: LocatedToken[] = [];
  for (const location of locations) {
    const text = read(location, head);
    if (text !== undefined) found.push({ text, location });
  }
  return found;
}

function read(location: Location, head: RequestHead): string | undefined {
  switch (location.kind) {
    case "header": {
      const value = head.fields.joined(location.name);
      return value === undefined ? undefined : afterPrefix(value, location.valuePrefix);
    }
    case "param":
      return queryValue(head.path, location.name);
    case "cookie":
      return cookieValue(head, location.name);
  }
}

/** The prefix may stand anywhere in the value; the token is all that follows it. Without a prefix it is the value. */
function afterPrefix(value: string, prefix: string): string | undefined {
  if (prefix === "") return value;
  const at = value.indexOf(prefix);
  if (at < 0) return undefined;
  return value.slice(at + prefix.length);
}

function queryValue(path: string, name: string): string | undefined {
  const query = queryOf(path);
  if (query === undefined) return undefined;
  for (const pair of query.split("&")) {
    const equals = pair.indexOf("=");
    if (equals > 0 && decoded(pair.slice(0, equals)) === name)
      return decoded(pair.slice(equals + 1));
  }
  return undefined;
}

function queryOf(path: string): string | undefined {
  const question = path.indexOf("?");
  if (question < 0) return undefined;
  const fragment = path.indexOf("#", question);
  return path.slice(question + 1, fragment < 0 ? undefined : fragment);
}

/** What cannot be decoded stays as it is. */
function decoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function cookieValue(head: RequestHead, name: string): string | undefined {
  const { flat } = head.fields;
  for (let at = 0; at < flat.length; at += 2) {
    if (flat[at] !== "cookie") continue;
    for (const cookie of (flat[at + 1] ?? "").split(";")) {
      const equals = cookie.indexOf("=");
      if (equals > 0 && cookie.slice(0, equals).trim() === name)
        return cookie
          .slice(equals + 1)
          .trim()
          .replace(/^"(.*)"$/, "$1");
    }
  }
  return undefined;
}

/** For providers that do not forward their tokens. Cookies stay: they are the application's. */
export function removeToken(location: Location, head: RequestHead): void {
  if (location.kind === "header") head.fields.remove(location.name);
  else if (location.kind === "param") head.path = withoutParam(head.path, location.name);
}

function withoutParam(path: string, name: string): string {
  const query = queryOf(path);
  const question = path.indexOf("?");
  if (query === undefined) return path;
  const rest = path.slice(question + 1 + query.length);
  const kept = query.split("&").filter((pair) => {
    const equals = pair.indexOf("=");
    return decoded(equals < 0 ? pair : pair.slice(0, equals)) !== name;
  });
  const start = path.slice(0, question);
  return kept.length === 0 ? `${start}${rest}` : `${start}?${kept.join("&")}${rest}`;
}
