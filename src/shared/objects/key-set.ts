/** Key sets (RFC 7517), as far as one must know them to say whether a proxy would take them. */

/** What a key of each type cannot be without (RFC 7518 section 6, RFC 8037 section 2). */
const MEMBERS: Readonly<Record<string, readonly string[]>> = {
  RSA: ["n", "e"],
  EC: ["crv", "x", "y"],
  OKP: ["crv", "x"],
  oct: ["k"],
};

/** Why proxies would refuse the text, and with it everything else that they are told. Undefined for a good one. */
export function keySetFault(text: string): string | undefined {
  const value = parsed(text);
  if (typeof value !== "object" || value === null) return "it is no JSON object";
  const { keys } = value as { readonly keys?: unknown };
  if (!Array.isArray(keys)) return 'it has no list "keys"';
  return keys.some(isUsable) ? undefined : "it has no usable key";
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isUsable(key: unknown): boolean {
  if (typeof key !== "object" || key === null) return false;
  const members = key as Readonly<Record<string, unknown>>;
  const needed = MEMBERS[String(members["kty"])];
  return needed?.every((name) => typeof members[name] === "string") ?? false;
}
