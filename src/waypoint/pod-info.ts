/**
 * The pod's labels and annotations as the downward API writes them into files: one `key="value"` a line, the value quoted like a
 * Go string.
 */

export function readPodInfo(
  origin: string,
  text: string | undefined,
  problems: string[],
): ReadonlyMap<string, string> {
  const entries = new Map<string, string>();
  for (const line of (text ?? "").split("\n")) {
    if (line === "") continue;
    const equals = line.indexOf("=");
    const value = equals < 0 ? undefined : unquote(line.slice(equals + 1));
    if (value === undefined) problems.push(`${origin}: expected key="value", not ${line}`);
    else entries.set(line.slice(0, equals), value);
  }
  return entries;
}

const simple: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

const escapes = /\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[abfnrtv"'\\]|.)/g;

function unquote(text: string): string | undefined {
  if (text.length < 2 || !text.startsWith('"') || !text.endsWith('"')) return undefined;
  let broken = false;
  const value = text.slice(1, -1).replace(escapes, (_all, rest: string) => {
    const [kind = ""] = rest;
    if (rest.length > 1) return String.fromCodePoint(Number.parseInt(rest.slice(1), 16));
    if (kind === '"' || kind === "'" || kind === "\\") return kind;
    const control = simple[kind];
    broken ||= control === undefined;
    return control ?? "";
  });
  return broken ? undefined : value;
}
