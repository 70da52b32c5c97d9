/** Which of a request's headers an authorization server gets to see. */
import type { RequestHead } from "../../http/message.ts";
import { matchesString } from "../../routing/match.ts";
import type { ExtAuthzConfig } from "./config.ts";

/** An HTTP server sees these in any case: without them it could not decide anything. */
const alwaysForHttp: ReadonlySet<string> = new Set([
  "authorization",
  ":method",
  ":path",
  ":authority",
]);

/** By lower-case name, several values joined. */
export function shownHeaders(config: ExtAuthzConfig, head: RequestHead): Map<string, string> {
  const shown = new Map<string, string>();
  const add = (name: string, value: string): void => {
    if (!isShown(config, name)) return;
    const known = shown.get(name);
    shown.set(name, known === undefined ? value : `${known},${value}`);
  };
  add(":authority", head.authority);
  add(":path", head.path);
  add(":method", head.method);
  add(":scheme", head.scheme);
  const { flat } = head.fields;
  for (let at = 0; at < flat.length; at += 2) add(flat[at] ?? "", flat[at + 1] ?? "");
  return shown;
}

function isShown(config: ExtAuthzConfig, name: string): boolean {
  if (config.disallowedHeaders.some((matcher) => matchesString(matcher, name))) return false;
  const { allowedHeaders, service } = config;
  if (service.kind === "http" && alwaysForHttp.has(name)) return true;
  if (allowedHeaders === undefined) return service.kind === "grpc";
  return allowedHeaders.some((matcher) => matchesString(matcher, name));
}
