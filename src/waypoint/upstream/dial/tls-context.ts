/** TLS contexts for clusters: made once for a configuration and the key material it has at the moment. */
import { readFileSync, statSync } from "node:fs";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { describeError } from "../../../shared/base/errors.ts";
import type { DataSource, TrustSource, UpstreamTls } from "../../model/upstream-transport.ts";
import { upstreamError } from "./failure.ts";
import type { KeyPair, TrustAnchors, UpstreamSecrets } from "./secrets.ts";

/** Where Linux distributions keep what the machine trusts. */
const systemRoots = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/cert.pem",
];

interface Material {
  readonly pair: KeyPair | undefined;
  readonly trust: TrustAnchors | undefined;
}

export class TlsContexts {
  readonly #secrets: UpstreamSecrets;
  readonly #contexts = new WeakMap<UpstreamTls, { material: Material; context: SecureContext }>();
  readonly #files = new Map<string, { readonly stamp: string; readonly text: string }>();
  readonly #values = new Map<string, { readonly parts: string; readonly value: object }>();

  constructor(secrets: UpstreamSecrets) {
    this.#secrets = secrets;
  }

  /** Rejects with UpstreamError when key material is missing: nothing is sent with less protection than asked for. */
  async context(tls: UpstreamTls, signal: AbortSignal): Promise<SecureContext> {
    if (tls.certificate?.kind === "workload" || tls.trust.kind === "workload")
      return this.#workload(tls, signal);
    const material: Material = { pair: this.#pair(tls), trust: this.#trust(tls.trust) };
    const cached = this.#contexts.get(tls);
    if (
      cached !== undefined &&
      cached.material.pair === material.pair &&
      cached.material.trust === material.trust
    )
      return cached.context;
    const context = contextOf(tls, material);
    this.#contexts.set(tls, { material, context });
    return context;
  }

  /** The mesh's own TLS. The key never leaves the certificate, so it comes with its roots or not at all. */
  async #workload(tls: UpstreamTls, signal: AbortSignal): Promise<SecureContext> {
    if (tls.certificate?.kind !== "workload" || tls.trust.kind !== "workload")
      throw upstreamError(
        "tls-failed",
        "the waypoint's certificate is used with the mesh's roots only",
      );
    return (await this.#secrets.workload(signal)).clientContext();
  }

  #pair({ certificate }: UpstreamTls): KeyPair | undefined {
    if (certificate === undefined || certificate.kind === "workload") return undefined;
    if (certificate.kind === "given") {
      const chainPem = this.#read(certificate.chain);
      const keyPem = this.#read(certificate.key);
      return this.#same(`pair ${sourceKey(certificate.chain)}`, { chainPem, keyPem });
    }
    const { name } = certificate;
    const files = /^file-cert:(.+)~(.+)$/.exec(name);
    if (files !== null) {
      const [, chain = "", key = ""] = files;
      return this.#same(name, { chainPem: this.#file(chain), keyPem: this.#file(key) });
    }
    return this.#secrets.certificate(name) ?? missing(name);
  }

  #trust(source: TrustSource): TrustAnchors | undefined {
    switch (source.kind) {
      case "none":
      case "workload":
        return undefined;
      case "system":
        return this.#same("system", { rootsPem: this.#systemRoots(), crlPem: undefined });
      case "given":
        return this.#same(`trust ${sourceKey(source.roots)}`, {
          rootsPem: this.#read(source.roots),
          crlPem: source.crl && this.#read(source.crl),
        });
      case "secret": {
        const file = /^file-root:(.+)$/.exec(source.name)?.[1];
        if (file !== undefined)
          return this.#same(source.name, { rootsPem: this.#file(file), crlPem: undefined });
        return this.#secrets.trust(source.name) ?? missing(source.name);
      }
    }
  }

  #systemRoots(): string {
    const path = systemRoots.find(
      (each) => statSync(each, { throwIfNoEntry: false }) !== undefined,
    );
    return path === undefined ? rootCertificates.join("\n") : this.#file(path);
  }

  #read(source: DataSource): string {
    return source.kind === "file"
      ? this.#file(source.path)
      : Buffer.from(source.bytes).toString("utf8");
  }

  /** Files change under us; what they say now counts for the next connection. */
  #file(path: string): string {
    try {
      const { ino, size, mtimeNs } = statSync(path, { bigint: true });
      const stamp = `${ino} ${size} ${mtimeNs}`;
      const known = this.#files.get(path);
      if (known?.stamp === stamp) return known.text;
      const text = readFileSync(path, "utf8");
      this.#files.set(path, { stamp, text });
      return text;
    } catch (thrown) {
      throw upstreamError("tls-failed", `cannot read ${path}: ${describeError(thrown)}`);
    }
  }

  /** The same object for the same texts, so that contexts can be kept. */
  #same<Value extends object>(key: string, value: Value): Value {
    const parts = Object.values(value).join("\0");
    const known = this.#values.get(key);
    if (known !== undefined && known.parts === parts) return known.value as Value;
    this.#values.set(key, { parts, value });
    return value;
  }
}

function sourceKey(source: DataSource): string {
  return source.kind === "file" ? source.path : Buffer.from(source.bytes).toString("base64");
}

function missing(name: string): never {
  throw upstreamError("tls-failed", `secret is not supplied by SDS: ${name}`);
}

function contextOf(tls: UpstreamTls, { pair, trust }: Material): SecureContext {
  try {
    return createSecureContext({
      cert: pair?.chainPem,
      key: pair?.keyPem,
      ca: trust?.rootsPem,
      crl: trust?.crlPem,
      minVersion: tls.minVersion,
      maxVersion: tls.maxVersion,
      ...(tls.ciphers === undefined ? {} : { ciphers: tls.ciphers }),
      ...(tls.groups === undefined ? {} : { ecdhCurve: tls.groups }),
      // Intermediates as anchors, as BoringSSL takes them from a bundle.
      ...{ allowPartialTrustChain: true },
    });
  } catch (thrown) {
    throw upstreamError("tls-failed", `TLS settings cannot be used: ${describeError(thrown)}`);
  }
}
