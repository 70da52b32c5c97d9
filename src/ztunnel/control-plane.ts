/** The two clients of the control plane: the mesh's state over xDS, certificates from the authority. */
import type { Clock } from "../shared/base/clock.ts";
import { MeshError } from "../shared/base/errors.ts";
import { CaClient } from "../shared/identity/ca-client.ts";
import type { SecretWatcher } from "../shared/identity/secret-manager.ts";
import { SecretManager } from "../shared/identity/secret-manager.ts";
import type { CertificateAuthority, SecretSource } from "../shared/identity/secret-source.ts";
import { tlsSettings } from "../shared/identity/tls-context.ts";
import type { MeshStore } from "../shared/model/store.ts";
import type { Logger } from "../shared/telemetry/logger.ts";
import { XdsClient } from "../shared/xds/delta-client.ts";
import { openDeltaStream } from "../shared/xds/delta-stream.ts";
import type { XdsEvents, XdsSink } from "../shared/xds/types.ts";
import type { ZtunnelConfig } from "./config.ts";
import { openRevocation, type RevocationMetrics } from "./revocation.ts";
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
export function createXdsClient(deps: ControlPlaneDeps, sink: XdsSink): XdsClient | undefined {
  const { config, clock, events } = deps;
  const endpoint = config.xds;
  if (endpoint === undefined) return undefined;
  return new XdsClient(
    {
      open: (handlers) => openDeltaStream(endpoint, clock, handlers),
      clock,
      logger: deps.logger.scope("xds"),
      sink,
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
  readonly metrics: RevocationMetrics;
  readonly watcher: SecretWatcher | undefined;
}

export interface Certificates {
  readonly secrets: SecretSource;
  close(): void;
}

/** Keeps a certificate for every identity that runs on this node, and fetches others when they are asked for. */
export function createCertificates(deps: CertificateDeps): Certificates {
  const { config, clock, store, random, metrics, watcher } = deps;
  const log = deps.logger.scope("identity");
  const shared = config.proxyMode === "shared";
  const revocation = openRevocation({ crlPath: config.crlPath, clock, log, metrics });
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
  const secrets = new SecretManager({
    authority: authority ?? noAuthority,
    clock,
    log,
    random,
    watcher,
  });
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
