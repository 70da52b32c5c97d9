/**
 * The certificate authority as the control plane's app sees it: roots, the certificate of its own TLS port, who calls, and
 * the service to mount.
 */
import { createPublicKey, generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../shared/base/clock.ts";
import type { MountableService } from "../../shared/grpc/methods.ts";
import { issueLeaf } from "../../shared/identity/issue.ts";
import { loadOrCreateKey, TOKEN_KEY_FILE } from "../../shared/identity/key-file.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { createAuthenticator } from "./authenticate.ts";
import type { Authenticate } from "./caller.ts";
import { BACKDATE_MS, openRoot, publishRoots, type RootAuthority } from "./root.ts";
import { type CertificateOutcome, createCertificateService } from "./service.ts";
import type { ServingNames } from "./serving-names.ts";

/** The reference's limit. */
const DEFAULT_MAX_LEAF_TTL_MS = 24 * 3_600_000;
const DEFAULT_TRUSTED_NODE_ACCOUNTS: ReadonlySet<string> = new Set(["istio-system/ztunnel"]);
/** The serving certificate is made anew at every start and lives in memory only. */
const SERVING_LIFETIME_MS = 365 * 24 * 3_600_000;

/** PEM texts for the gRPC server's TLS port. */
export interface ServingCertificate {
  readonly certificateChain: string;
  readonly privateKey: string;
}

export interface CertificateServiceOptions {
  readonly trustDomain: string;
  /** SPIFFE URIs of the workloads on a node, from the control plane's current snapshot. */
  readonly identitiesOnNode: (node: string) => ReadonlySet<string>;
  /** Counts each answered request. */
  readonly count: (outcome: CertificateOutcome) => void;
  /** Service accounts (`<namespace>/<name>`) that may ask for identities of their node. */
  readonly trustedNodeAccounts?: ReadonlySet<string>;
  readonly maxLeafTtlMs?: number;
}

export interface CertificateAuthorityDeps {
  readonly stateDir: string;
  readonly clock: Clock;
  readonly log: Logger;
}

export class ControlPlaneAuthority {
  readonly #deps: CertificateAuthorityDeps;
  readonly #root: RootAuthority;
  /** Checks the bearer token of any gRPC call to the control plane. */
  readonly authenticate: Authenticate;

  constructor(deps: CertificateAuthorityDeps, root: RootAuthority, authenticate: Authenticate) {
    this.#deps = deps;
    this.#root = root;
    this.authenticate = authenticate;
  }

  /** All roots that clients should trust. */
  get rootsPem(): string {
    return this.#root.rootsPem();
  }

  servingCertificate(names: ServingNames): ServingCertificate {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const nowMs = this.#deps.clock.wallMs();
    const { issuer } = this.#root;
    const leaf = issueLeaf(issuer, createPublicKey(privateKey), names, {
      notBeforeMs: nowMs - BACKDATE_MS,
      notAfterMs: Math.min(nowMs + SERVING_LIFETIME_MS, issuer.certificate.notAfterMs),
    });
    return {
      certificateChain: leaf.pem,
      privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    };
  }

  service(options: CertificateServiceOptions): MountableService {
    const { clock, log } = this.#deps;
    return createCertificateService({
      trustedNodeAccounts: DEFAULT_TRUSTED_NODE_ACCOUNTS,
      maxLeafTtlMs: DEFAULT_MAX_LEAF_TTL_MS,
      ...options,
      root: this.#root,
      authenticate: this.authenticate,
      clock,
      log: log.scope("ca"),
    });
  }

  /** Writes `root-cert.pem`; call it when the server listens, since its presence says that the authority is ready. */
  publishRoots(): void {
    publishRoots(this.#deps.stateDir, this.#root.rootsPem());
  }
}

/** Loads or makes everything in the state directory. Throws with the file's name when something there cannot be used. */
export function openAuthority(deps: CertificateAuthorityDeps): ControlPlaneAuthority {
  const root = openRoot(deps.stateDir, deps.clock.wallMs(), deps.log.scope("ca"));
  const tokenKey = loadOrCreateKey(join(deps.stateDir, TOKEN_KEY_FILE));
  return new ControlPlaneAuthority(deps, root, createAuthenticator(tokenKey, deps.clock));
}
