/** The documents that lead to an issuer's keys: its discovery document and the key set itself (RFC 7517 section 5). */

import { keySetFault } from "../../shared/objects/key-set.ts";

const DISCOVERY_PATH = "/.well-known/openid-configuration";

export function discoveryUrl(issuer: string): string {
  return `${issuer.replace(/\/$/, "")}${DISCOVERY_PATH}`;
}

/** Throws for a document that names no key set. */
export function keySetUrl(discovery: string): string {
  const uri = (objectOf(discovery) as { readonly jwks_uri?: unknown }).jwks_uri;
  if (typeof uri !== "string") throw new Error("the discovery document has no jwks_uri");
  return uri;
}

/** Whatever is no key set is never handed on: a page of some other server must not end up in a proxy's configuration. */
export function checkKeySet(text: string): string {
  const fault = keySetFault(text);
  if (fault !== undefined) throw new Error(`the document is no key set that can be used: ${fault}`);
  return text;
}

function objectOf(text: string): object {
  const value: unknown = JSON.parse(text);
  if (typeof value !== "object" || value === null) throw new Error("the document is no object");
  return value;
}
