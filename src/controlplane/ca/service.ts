/** IstioCertificateService: authenticates the caller, decides which identity it may have, signs. */
import { create } from "@bufbuild/protobuf";
import { type handleUnaryCall, type Metadata, type StatusObject, status } from "@grpc/grpc-js";
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import {
  createCertificateMethod,
  IMPERSONATED_IDENTITY,
} from "../../shared/grpc/certificate-service.ts";
import type { MountableService } from "../../shared/grpc/methods.ts";
import { readSigningRequest } from "../../shared/identity/csr.ts";
import { issueLeaf } from "../../shared/identity/issue.ts";
import { formatSpiffe, type SpiffeIdentity } from "../../shared/identity/spiffe.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import {
  type IstioCertificateRequest,
  type IstioCertificateResponse,
  IstioCertificateResponseSchema,
} from "../../shared/wire/gen/istio/v1/auth/ca_pb.js";
import { type AuthorizationRules, authorizeIdentity } from "./authorize.ts";
import type { Authenticate, Caller } from "./caller.ts";
import { BACKDATE_MS, type RootAuthority } from "./root.ts";

export type CertificateOutcome = "issued" | "refused" | "failed";

export interface CertificateServiceDeps extends AuthorizationRules {
  readonly root: RootAuthority;
  readonly clock: Clock;
  readonly log: Logger;
  readonly authenticate: Authenticate;
  /** Longest life of a leaf, and its life when the request asks for none. */
  readonly maxLeafTtlMs: number;
  readonly count: (outcome: CertificateOutcome) => void;
}

interface Answer {
  readonly code: status;
  readonly details: string;
  readonly outcome: CertificateOutcome;
}

const notAuthenticated: Answer = {
  code: status.UNAUTHENTICATED,
  details: "request authenticate failure",
  outcome: "refused",
};
const notAuthorized: Answer = {
  code: status.UNAUTHENTICATED,
  details: "request impersonation authentication failure",
  outcome: "refused",
};
const internalError: Answer = {
  code: status.INTERNAL,
  details: "internal error",
  outcome: "failed",
};

/** Something other than a certificate. The caller sees the answer; the message is for the log. */
class Refusal extends Error {
  readonly answer: Answer;

  constructor(reason: string, options: Answer & ErrorOptions) {
    super(reason, options);
    this.answer = options;
  }
}

async function callerOf(deps: CertificateServiceDeps, metadata: Metadata): Promise<Caller> {
  try {
    return await deps.authenticate(metadata);
  } catch (thrown) {
    throw new Refusal(describeError(thrown), { ...notAuthenticated, cause: thrown });
  }
}

function impersonatedIn(request: IstioCertificateRequest): string | undefined {
  const value = request.metadata?.[IMPERSONATED_IDENTITY];
  // Anything but text is not "no wish": it must not yield the caller's own identity by accident.
  return value === undefined || typeof value === "string" ? value || undefined : String(value);
}

function grantedIdentity(
  deps: CertificateServiceDeps,
  caller: Caller,
  request: IstioCertificateRequest,
): SpiffeIdentity {
  const grant = authorizeIdentity(caller, impersonatedIn(request), deps);
  if (grant.kind === "granted") return grant.identity;
  throw new Refusal(grant.reason, notAuthorized);
}

function lifetimeMs(deps: CertificateServiceDeps, request: IstioCertificateRequest): number {
  const asked = Number(request.validityDuration) * 1000;
  return asked > 0 ? Math.min(asked, deps.maxLeafTtlMs) : deps.maxLeafTtlMs;
}

function sign(
  deps: CertificateServiceDeps,
  request: IstioCertificateRequest,
  identity: SpiffeIdentity,
): string[] {
  const { root, clock } = deps;
  let publicKey: ReturnType<typeof readSigningRequest>["publicKey"];
  try {
    ({ publicKey } = readSigningRequest(request.csr));
  } catch (thrown) {
    const reason = describeError(thrown);
    const details = `CSR signing error (${reason})`;
    const code = status.INVALID_ARGUMENT;
    throw new Refusal(reason, { code, details, outcome: "failed", cause: thrown });
  }
  const ttlMs = lifetimeMs(deps, request);
  const nowMs = clock.wallMs();
  const leaf = issueLeaf(
    root.issuer,
    publicKey,
    { uris: [formatSpiffe(identity)] },
    {
      // A short-lived certificate is not backdated by more than it lives, or its half life would be over at once.
      notBeforeMs: nowMs - Math.min(BACKDATE_MS, ttlMs / 4),
      notAfterMs: Math.min(nowMs + ttlMs, root.issuer.certificate.notAfterMs),
    },
  );
  deps.log.debug("certificate issued", {
    identity: formatSpiffe(identity),
    serial: leaf.serialDecimal,
    ttl_s: Math.round(ttlMs / 1000),
  });
  return [leaf.pem, root.rootsPem()];
}

async function answer(
  deps: CertificateServiceDeps,
  request: IstioCertificateRequest,
  metadata: Metadata,
): Promise<IstioCertificateResponse> {
  const caller = await callerOf(deps, metadata);
  const identity = grantedIdentity(deps, caller, request);
  const certChain = sign(deps, request, identity);
  return create(IstioCertificateResponseSchema, { certChain });
}

function failure(
  deps: CertificateServiceDeps,
  thrown: unknown,
  peer: string,
): Partial<StatusObject> {
  const refusal =
    thrown instanceof Refusal
      ? thrown
      : new Refusal(describeError(thrown), { ...internalError, cause: thrown });
  const { code, details, outcome } = refusal.answer;
  deps.count(outcome);
  deps.log.warn("certificate request refused", { peer, reason: refusal.message });
  return { code, details };
}

/** Pass both parts to `server.addService`. */
export function createCertificateService(deps: CertificateServiceDeps): MountableService {
  const handler: handleUnaryCall<IstioCertificateRequest, IstioCertificateResponse> = (
    call,
    callback,
  ) => {
    answer(deps, call.request, call.metadata).then(
      (response) => {
        deps.count("issued");
        callback(null, response);
      },
      (thrown: unknown) => callback(failure(deps, thrown, call.getPeer())),
    );
  };
  return {
    definition: { createCertificate: createCertificateMethod },
    implementation: { createCertificate: handler },
  };
}
