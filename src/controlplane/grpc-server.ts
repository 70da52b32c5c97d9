/** The gRPC servers: one port in plaintext for this machine, one with TLS for everybody else; the same services on both. */
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerOptions,
  setLogVerbosity,
} from "@grpc/grpc-js";
import type { Clock } from "../shared/base/clock.ts";
import type { MountableService } from "../shared/grpc/methods.ts";
import { formatListenAddress, type ListenAddress } from "../shared/net/listen-address.ts";
import type { ServingCertificate } from "./ca/authority.ts";

const MAX_RECEIVE_BYTES = 16 * 1024 * 1024;
const KEEPALIVE_INTERVAL_MS = 30_000;
const KEEPALIVE_TIMEOUT_MS = 10_000;
/** Time for the streams of a connection that has reached its age. */
const AGE_GRACE_MS = 10_000;

export interface GrpcListener {
  readonly port: number;
  /** Lets calls end for a moment, then cuts them. */
  close(): Promise<void>;
}

export async function listenGrpc(
  address: ListenAddress,
  certificate: ServingCertificate | undefined,
  services: readonly MountableService[],
  clock: Clock,
  maxConnectionAgeMs: number,
): Promise<GrpcListener> {
  const options: ServerOptions = {
    "grpc.max_receive_message_length": MAX_RECEIVE_BYTES,
    "grpc.max_send_message_length": -1,
    "grpc.keepalive_time_ms": KEEPALIVE_INTERVAL_MS,
    "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
    "grpc.max_connection_age_ms": maxConnectionAgeMs,
    "grpc.max_connection_age_grace_ms": AGE_GRACE_MS,
  };
  // The library would print to stderr by itself; what matters comes back as errors.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server(options);
  for (const { definition, implementation } of services)
    server.addService(definition, implementation);
  const port = await bind(server, formatListenAddress(address), credentialsOf(certificate));
  return { port, close: () => shutdown(server, clock) };
}

function credentialsOf(certificate: ServingCertificate | undefined): ServerCredentials {
  if (certificate === undefined) return ServerCredentials.createInsecure();
  const pair = {
    cert_chain: Buffer.from(certificate.certificateChain),
    private_key: Buffer.from(certificate.privateKey),
  };
  return ServerCredentials.createSsl(null, [pair], false);
}

function bind(server: Server, address: string, credentials: ServerCredentials): Promise<number> {
  return new Promise((resolve, reject) => {
    server.bindAsync(address, credentials, (error, port) => {
      if (error === null) resolve(port);
      else reject(new Error(`Cannot listen on ${address}: ${reasonOf(error)}`, { cause: error }));
    });
  });
}

/** The library wraps the system's words into its own. */
function reasonOf(error: Error): string {
  return /errors: \[(.*)\]$/.exec(error.message)?.[1] ?? error.message;
}

const SHUTDOWN_GRACE_MS = 500;

function shutdown(server: Server, clock: Clock): Promise<void> {
  return new Promise((resolve) => {
    const force = clock.after(SHUTDOWN_GRACE_MS, () => server.forceShutdown());
    server.tryShutdown(() => {
      force.cancel();
      resolve();
    });
  });
}
