/** Asks a certificate authority of the mesh for workload certificates (wire/ztunnel.md section 2). */
import { type KeyObject, X509Certificate } from "node:crypto";
import { create, type JsonObject } from "@bufbuild/protobuf";
import { Client, connectivityState, type ServiceError, status } from "@grpc/grpc-js";
import type { Clock } from "../base/clock.ts";
import { asMeshError, describeError, MeshError } from "../base/errors.ts";
import { createCertificateMethod, IMPERSONATED_IDENTITY } from "../grpc/certificate-service.ts";
import { CONNECT_TIMEOUT_MS, callMetadata, grpcTarget, readRoots } from "../grpc/channel.ts";
import type { GrpcEndpointOptions } from "../grpc/types.ts";
import type { Logger } from "../telemetry/logger.ts";
import {
  type IstioCertificateRequest,
  IstioCertificateRequestSchema,
  type IstioCertificateResponse,
} from "../wire/gen/istio/v1/auth/ca_pb.js";
import { createSigningRequest } from "./csr.ts";
import type { PeerRevocation } from "./revocation.ts";
import type { CertificateAuthority } from "./secret-source.ts";
import { formatSpiffe, type SpiffeIdentity } from "./spiffe.ts";
import type { TlsSettings } from "./tls-context.ts";
import { createWorkloadCertificate, type WorkloadCertificate } from "./workload-certificate.ts";
import { readCertificates } from "./x509.ts";

/** An authority that neither answers nor breaks must not hold a fetch slot for ever. The reference has no such limit. */
const CALL_TIMEOUT_MS = 30_000;

export interface CaClientOptions {
  readonly endpoint: GrpcEndpointOptions;
  /** Requested life of a certificate (SECRET_TTL). */
  readonly secretTtlMs: number;
  /** Shared mode: name the workload's identity in the request and demand exactly that one. Dedicated mode: neither. */
  readonly impersonate: boolean;
  readonly tls: TlsSettings;
  /** Held against the peers of every connection under the certificates. */
  readonly revocation?: PeerRevocation | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

const identityError = (reason: string, cause?: unknown): MeshError =>
  new MeshError("identity-unavailable", `identity error: ${reason}`, { cause });

/** Reads an answer: the leaf, intermediates one or more an element, the roots last. Throws MeshError. */
export function readAnswer(
  certChain: readonly string[],
  identity: SpiffeIdentity,
  privateKey: KeyObject,
  options: Pick<CaClientOptions, "impersonate" | "tls" | "revocation">,
): WorkloadCertificate {
  const [first, ...rest] = certChain;
  const bundle = rest.pop();
  if (first === undefined) throw identityError("the certificate authority sent no certificate");
  if (bundle === undefined) throw identityError("no root certificate present");
  const [leaf, ...following] = readCertificates(first);
  if (leaf === undefined) throw identityError("the certificate authority sent no certificate");
  const expected = formatSpiffe(identity);
  const [name] = leaf.uriSans;
  if (options.impersonate && name !== expected)
    throw identityError(`certificate SAN error: asked for "${expected}", got "${name ?? "none"}"`);
  if (!new X509Certificate(leaf.der).checkPrivateKey(privateKey))
    throw identityError("the certificate does not belong to the key of the request");
  const intermediates = [...following, ...rest.flatMap((pem) => readCertificates(pem))];
  const roots = readCertificates(bundle);
  return createWorkloadCertificate(
    { identity, leaf, intermediates, roots, privateKey },
    options.tls,
    options.revocation,
  );
}

interface OpenClient {
  readonly client: Client;
  /** Root text that the channel was built with. */
  readonly roots: string | undefined;
}

export class CaClient implements CertificateAuthority {
  readonly #options: CaClientOptions;
  #open: OpenClient | undefined;

  constructor(options: CaClientOptions) {
    this.#options = options;
  }

  async fetchCertificate(
    identity: SpiffeIdentity,
    signal: AbortSignal,
  ): Promise<WorkloadCertificate> {
    try {
      const { csrPem, privateKey } = await createSigningRequest(identity);
      const { certChain } = await this.#call(this.#request(identity, csrPem), signal);
      return readAnswer(certChain, identity, privateKey, this.#options);
    } catch (thrown) {
      signal.throwIfAborted();
      throw asMeshError(thrown, "identity-unavailable", "identity error");
    }
  }

  close(): void {
    this.#open?.client.close();
    this.#open = undefined;
  }

  #request(identity: SpiffeIdentity, csr: string): IstioCertificateRequest {
    const { impersonate, secretTtlMs } = this.#options;
    const metadata: JsonObject = { [IMPERSONATED_IDENTITY]: formatSpiffe(identity) };
    return create(IstioCertificateRequestSchema, {
      csr,
      validityDuration: BigInt(Math.floor(secretTtlMs / 1000)),
      ...(impersonate ? { metadata } : {}),
    });
  }

  /** The channel; built anew when the root file has changed, kept when the new one cannot be used. */
  #client(): Client {
    const { endpoint, log } = this.#options;
    const open = this.#open;
    try {
      const roots = endpoint.address.startsWith("http:") ? undefined : readRoots(endpoint.rootCa);
      if (open !== undefined && open.roots === roots) return open.client;
      const { target, credentials, options } = grpcTarget(endpoint);
      this.#open = { client: new Client(target, credentials, options), roots };
      open?.client.close();
      return this.#open.client;
    } catch (thrown) {
      if (open === undefined) throw thrown;
      log.warn("cannot rebuild the channel to the certificate authority, keeping the old one", {
        error: describeError(thrown),
      });
      return open.client;
    }
  }

  /** The next call connects anew. */
  #drop(client: Client): void {
    if (this.#open?.client !== client) return;
    this.#open = undefined;
    client.close();
  }

  #call(request: IstioCertificateRequest, signal: AbortSignal): Promise<IstioCertificateResponse> {
    const { path, requestSerialize, responseDeserialize } = createCertificateMethod;
    const { endpoint, clock } = this.#options;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const client = this.#client();
      const settle = (error: ServiceError | null, response?: IstioCertificateResponse): void => {
        signal.removeEventListener("abort", onAbort);
        connectDeadline.cancel();
        if (response !== undefined && error === null) {
          resolve(response);
          return;
        }
        // Who was silent for so long on this connection will not begin to speak.
        if (error?.code === status.DEADLINE_EXCEEDED) this.#drop(client);
        reject(callError(error));
      };
      const connectDeadline = clock.after(CONNECT_TIMEOUT_MS, () => {
        if (client.getChannel().getConnectivityState(false) === connectivityState.READY) return;
        reject(identityError(`no connection to ${endpoint.address} in ${CONNECT_TIMEOUT_MS} ms`));
        call.cancel();
        this.#drop(client);
      });
      const call = client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        callMetadata(endpoint),
        { deadline: clock.wallMs() + CALL_TIMEOUT_MS },
        settle,
      );
      const onAbort = (): void => call.cancel();
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }
}

function callError(error: ServiceError | null): MeshError {
  if (error === null) return identityError("the certificate authority sent an empty answer");
  const name = status[error.code] ?? String(error.code);
  return identityError(`signing gRPC error (${name}): ${error.details}`, error);
}
