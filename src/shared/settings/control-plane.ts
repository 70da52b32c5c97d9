/** What the settings of every role say about the control plane: its address, and the token shown to it. */

/** Where the bearer token comes from; a file is read again for every request. */
export type TokenSource =
  | { readonly kind: "none" }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "literal"; readonly token: string };

const tokenFile = "./var/run/secrets/tokens/istio-token";

export function tokenSource(
  text: string | undefined,
  fileExists: (path: string) => boolean,
): TokenSource {
  if (text === undefined)
    return fileExists(tokenFile) ? { kind: "file", path: tokenFile } : { kind: "none" };
  return fileExists(text) ? { kind: "file", path: text } : { kind: "literal", token: text };
}

/** As the gRPC channels want it: they tell a path from a token themselves. */
export function tokenText(source: TokenSource): string | undefined {
  switch (source.kind) {
    case "none":
      return undefined;
    case "file":
      return source.path;
    case "literal":
      return source.token;
  }
}

/** Adds the scheme, refuses what cannot be reached safely: plain HTTP would show the token, so only on loopback. */
export function controlPlaneUrl(
  name: string,
  text: string | undefined,
  fallback: string,
  problems: string[],
): string | undefined {
  if (text === "") return undefined;
  const raw = text ?? fallback;
  const address = raw.includes("://") ? raw : `https://${raw}`;
  let url: URL;
  try {
    url = new URL(address);
  } catch {
    problems.push(`${name}: expected host:port or a URL, not ${JSON.stringify(raw)}`);
    return undefined;
  }
  const loopback = /^(localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  if (url.protocol !== "https:" && !(url.protocol === "http:" && loopback))
    problems.push(`${name}: https is required, not ${JSON.stringify(raw)}`);
  return address;
}

export function lowerKeys(headers: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  return new Map([...headers].map(([name, value]) => [name.toLowerCase(), value]));
}

/** The address when no variable names one: what the mesh says, else istiod's service in Kubernetes. */
export function fallbackAddress(
  discoveryAddress: string | undefined,
  kubernetesHost: string | undefined,
): string {
  if (discoveryAddress !== undefined) return discoveryAddress;
  return kubernetesHost === undefined
    ? "https://localhost:15012"
    : "https://istiod.istio-system.svc:15012";
}
