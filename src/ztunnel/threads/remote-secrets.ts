/**
 * The certificates of a thread that is not the one that fetches them. The main thread sends every certificate as it comes, so
 * most are here before a connection needs them; what is missing or has expired is asked for. What the main thread does not
 * keep any more is forgotten here too, and asked for again by whoever needs it.
 */
import type { Clock } from "../../shared/base/clock.ts";
import { MeshError } from "../../shared/base/errors.ts";
import type {
  FetchPriority,
  SecretSnapshot,
  SecretSource,
} from "../../shared/identity/secret-source.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { WorkloadCertificate } from "../../shared/identity/workload-certificate.ts";
import type { CertificateParcel } from "./messages.ts";

export interface RemoteSecretsDeps {
  readonly clock: Clock;
  readonly ask: (identity: SpiffeIdentity, priority: FetchPriority) => Promise<CertificateParcel>;
  readonly unpack: (parcel: CertificateParcel) => WorkloadCertificate;
}

export class RemoteSecrets implements SecretSource {
  readonly #deps: RemoteSecretsDeps;
  readonly #held = new Map<string, WorkloadCertificate>();
  /** Questions under way: many connections of one identity wait for the same answer. */
  readonly #asked = new Map<string, Promise<WorkloadCertificate>>();

  constructor(deps: RemoteSecretsDeps) {
    this.#deps = deps;
  }

  fetch(
    identity: SpiffeIdentity,
    priority: FetchPriority,
    signal?: AbortSignal,
  ): Promise<WorkloadCertificate> {
    const key = formatSpiffe(identity);
    const held = this.#held.get(key);
    if (held !== undefined && held.leaf.notAfterMs > this.#deps.clock.wallMs())
      return Promise.resolve(held);
    let asked = this.#asked.get(key);
    if (asked === undefined) {
      asked = this.#ask(identity, priority).finally(() => this.#asked.delete(key));
      this.#asked.set(key, asked);
    }
    return signal === undefined ? asked : until(asked, signal);
  }

  /** What the main thread has sent. */
  receive(parcel: CertificateParcel): WorkloadCertificate {
    const key = formatSpiffe(parcel.identity);
    const held = this.#held.get(key);
    // Sent to all and as an answer: the contexts that connections share are not built twice.
    if (held !== undefined && parcel.chain.startsWith(held.leaf.pem)) return held;
    const certificate = this.#deps.unpack(parcel);
    this.#held.set(key, certificate);
    return certificate;
  }

  forget(identity: SpiffeIdentity): void {
    this.#held.delete(formatSpiffe(identity));
  }

  prefetch(): void {
    // The main thread's business.
  }

  snapshot(): readonly SecretSnapshot[] {
    return [...this.#held.values()].map((certificate) => ({
      identity: certificate.identity,
      state: { kind: "available", certificate },
    }));
  }

  close(): void {
    this.#held.clear();
  }

  async #ask(identity: SpiffeIdentity, priority: FetchPriority): Promise<WorkloadCertificate> {
    const parcel = await this.#deps.ask(identity, priority);
    if (formatSpiffe(parcel.identity) !== formatSpiffe(identity))
      throw new MeshError("identity-unavailable", "identity error: the answer is for another one");
    return this.receive(parcel);
  }
}

/** The answer, or the signal's reason if that comes first. */
export function until<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}
