/**
 * Key material that clusters name (`kubernetes://…`, wire/waypoint.md section 2.5), delivered by the control plane. Never printed:
 * the book gives names to tools, not contents.
 */

export interface KeyPairPem {
  readonly chainPem: string;
  readonly keyPem: string;
}

export interface TrustPem {
  readonly rootsPem: string;
  readonly crlPem: string | undefined;
}

export type SecretValue =
  | ({ readonly kind: "certificate" } & KeyPairPem)
  | ({ readonly kind: "trust" } & TrustPem);

export class SecretBook {
  readonly #values = new Map<string, SecretValue>();

  get names(): readonly string[] {
    return [...this.#values.keys()].sort();
  }

  /** The same object as long as it does not change. */
  certificate(name: string): KeyPairPem | undefined {
    const value = this.#values.get(name);
    return value?.kind === "certificate" ? value : undefined;
  }

  trust(name: string): TrustPem | undefined {
    const value = this.#values.get(name);
    return value?.kind === "trust" ? value : undefined;
  }

  set(name: string, value: SecretValue): void {
    if (JSON.stringify(this.#values.get(name)) !== JSON.stringify(value))
      this.#values.set(name, value);
  }

  remove(name: string): void {
    this.#values.delete(name);
  }
}
