/** The waypoint's own certificate: asked for with its own token, kept fresh, presented in both directions. */
import type { Clock } from "../../shared/base/clock.ts";
import { CaClient } from "../../shared/identity/ca-client.ts";
import { RevocationFile } from "../../shared/identity/revocation.ts";
import { SecretManager } from "../../shared/identity/secret-manager.ts";
import type { SecretSource } from "../../shared/identity/secret-source.ts";
import { tlsSettings } from "../../shared/identity/tls-context.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { WaypointConfig } from "../config.ts";

export interface OwnCertificate {
  readonly secrets: SecretSource;
  close(): void;
}

export function ownCertificate(
  config: WaypointConfig,
  clock: Clock,
  log: Logger,
  random: () => number,
): OwnCertificate {
  const revocation =
    config.crlPath === undefined
      ? undefined
      : new RevocationFile({
          path: config.crlPath,
          clock,
          log,
          onRejected: () => undefined,
          onUntracked: () => undefined,
        });
  const authority = new CaClient({
    endpoint: config.ca,
    secretTtlMs: config.secretTtlMs,
    // The token says who we are; the authority would refuse us another name.
    impersonate: false,
    tls: tlsSettings({ tls12: config.tls12, compliancePolicy: config.compliancePolicy }),
    revocation,
    clock,
    log,
  });
  const secrets = new SecretManager({ authority, clock, log, random });
  secrets.prefetch(config.identity);
  return {
    secrets,
    close: () => {
      secrets.close();
      authority.close();
      revocation?.close();
    },
  };
}
