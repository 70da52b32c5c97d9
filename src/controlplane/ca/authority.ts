/** What the control plane's app gets from the certificate authority. */
import type { ServiceDefinition, UntypedServiceImplementation } from "@grpc/grpc-js";
import type { Clock } from "../../shared/base/clock.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { Authenticate } from "./caller.ts";

/** PEM texts for the gRPC server's TLS port. */
export interface ServingCertificate {
  readonly certificateChain: string;
  readonly privateKey: string;
}

export interface CertificateServiceOptions {
  /** Service accounts (`<namespace>/<name>`) that may ask for identities of their node. Default `istio-system/ztunnel`. */
  readonly trustedNodeAccounts: ReadonlySet<string>;
  readonly trustDomain: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly authenticate: Authenticate;
  /** SPIFFE URIs of the workloads on a node, from the control plane's current snapshot. */
  readonly identitiesOnNode: (node: string) => ReadonlySet<string>;
  /** Counts each answered request. */
  readonly count: (outcome: "issued" | "refused" | "failed") => void;
}

/** Pass both to `server.addService`. */
export interface MountableService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}
