/** The two clients of the control plane: the mesh's state over xDS, certificates from the authority. */
import type { Clock } from "../shared/base/clock.ts";
import { MeshError } from "../shared/base/errors.ts";
import { CaClient } from "../shared/identity/ca-client.ts";
import { RevocationFile, type TlsRole } from "../shared/identity/revocation.ts";
import { SecretManager } from "../shared/identity/secret-manager.ts";
import type { CertificateAuthority, SecretSource } from "../shared/identity/secret-source.ts";
import { tlsSettings } from "../shared/identity/tls-context.ts";
import type { MeshStore } from "../shared/model/store.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import { XdsClient } from "../shared/xds/delta-client.ts";
import { openDeltaStream } from "../shared/xds/delta-stream.ts";
import type { XdsEvents } from "../shared/xds/types.ts";
import type { ZtunnelConfig } from "./config.ts";
import type { Reporter } from "./telemetry/traffic.ts";
import { xdsNode } from "./xds-node.ts";

export interface ControlPlaneDeps {
  readonly config: ZtunnelConfig;
  readonly store: MeshStore;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly events: Pick<XdsEvents, "terminated" | "message">;
  readonly random: () => number;
}

/** Undefined when xDS is switched off. */
export function createXdsClient(deps: ControlPlaneDeps): XdsClient | undefined {
  const { config, clock, store, events } = deps;
  const endpoint = config.xds;
  if (endpoint === undefined) return undefined;
  return new XdsClient(
    {
      open: (handlers) => openDeltaStream(endpoint, clock, handlers),
      clock,
      logger: deps.logger.scope("xds"),
      sink: store,
      events,
    },
    { node: xdsNode(config), onDemand: config.xdsOnDemand },
  );
}

const noAuthority: CertificateAuthority = {
  fetchCertificate: () =>
    Promise.reject(new MeshError("identity-unavailable", "identity error: CA_ADDRESS is empty")),
};

export interface CertificateDeps extends ControlPlaneDeps {
  /** Counts a peer refused or cut because its certificate is revoked. */
  readonly onRevokedPeer: (reporter: Reporter) => void;
  /** Counts a connection whose peer's certificate cannot be looked up in revocation lists. */
  readonly onUntrackedPeer: (reporter: Reporter) => void;
}

function reporterOf(role: TlsRole): Reporter {
  return role === "client" ? "source" : "destination";
}

/** CRL_PATH, if it is set. */
function openRevocation(deps: CertificateDeps): RevocationFile | undefined {
  const { config, clock, onRevokedPeer, onUntrackedPeer } = deps;
  if (config.crlPath === undefined) return undefined;
  return new RevocationFile({
    path: config.crlPath,
    clock,
    log: deps.logger.scope("identity"),
    onRejected: (role) => onRevokedPeer(reporterOf(role)),
    onUntracked: (role) => onUntrackedPeer(reporterOf(role)),
  });
}

export interface Certificates {
  readonly secrets: SecretSource;
  close(): void;
}

/** Keeps a certificate for every identity that runs on this node, and fetches others when they are asked for. */
export function createCertificates(deps: CertificateDeps): Certificates {
  const { config, clock, store, random } = deps;
  const log = deps.logger.scope("identity");
  const shared = config.proxyMode === "shared";
  const revocation = openRevocation(deps);
  const authority =
    config.ca &&
    new CaClient({
      endpoint: config.ca,
      secretTtlMs: config.secretTtlMs,
      impersonate: shared,
      tls: tlsSettings({ tls12: config.tls12, compliancePolicy: config.compliancePolicy }),
      revocation,
      clock,
      log,
    });
  const secrets = new SecretManager({ authority: authority ?? noAuthority, clock, log, random });
  const unsubscribe = shared
    ? store.subscribe(({ localIdentities }) => {
        for (const identity of localIdentities.vanished) secrets.forget(identity);
        for (const identity of localIdentities.appeared) secrets.prefetch(identity);
      })
    : () => undefined;
  return {
    secrets,
    close: () => {
      unsubscribe();
      secrets.close();
      authority?.close();
      revocation?.close();
    },
  };
}
