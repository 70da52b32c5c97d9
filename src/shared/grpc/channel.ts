/**
 * Channels to a control plane and the headers of each call (wire/ztunnel.md sections 1.1 and 2): server-side TLS only, a
 * bearer token that is read again for every call, roots that are read again for every channel.
 */
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { checkServerIdentity, type PeerCertificate } from "node:tls";
import { type ChannelCredentials, type ChannelOptions, credentials, Metadata } from "@grpc/grpc-js";
import type { GrpcEndpointOptions } from "./types.ts";
import { type ConnectionRules, watched } from "./watched-credentials.ts";

/** 200 MiB: a large mesh arrives in one message. */
const MAX_MESSAGE_BYTES = 200 * 1024 * 1024;
/** HTTP/2 PINGs, which notice within 40 s that nobody is there any more. */
const PING_INTERVAL_MS = 30_000;
const PING_TIMEOUT_MS = 10_000;

/** No connection within this: whoever opened the channel gives it up, and begins anew. */
export const CONNECT_TIMEOUT_MS = 5_000;

/** Keepalive is for what stands between, which may forget a connection on which nothing moves. */
const rules: ConnectionRules = {
  keepAlive: { idleSeconds: 300, intervalSeconds: 75, probes: 9 },
  handshakeTimeoutMs: CONNECT_TIMEOUT_MS,
};

/** What the control plane is called in a cluster. */
const SERVICE_NAME = "istiod.istio-system.svc";

/** Where distributions keep the machine's roots. */
const systemRootFiles = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
  "/etc/ssl/cert.pem",
] as const;

export interface GrpcTarget {
  readonly target: string;
  readonly credentials: ChannelCredentials;
  readonly options: ChannelOptions;
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (thrown) {
    const code = (thrown as NodeJS.ErrnoException).code;
    // PEM text is no path: too long, or with a NUL. A directory or an unreadable file is a mistake to report.
    if (code === "ENOENT" || code === "ENOTDIR" || code === "ENAMETOOLONG") return undefined;
    throw thrown;
  }
}

/** PEM text of the roots: a file, `SYSTEM`, or the text itself. Throws when there is no certificate in it. */
export function readRoots(rootCa: string): string {
  if (rootCa === "SYSTEM") {
    const found = systemRootFiles.map(readIfThere).find((text) => text !== undefined);
    if (found === undefined) throw new Error("Cannot find the machine's root certificates");
    return found;
  }
  const isText = rootCa.includes("-----BEGIN");
  const text = isText ? rootCa : readIfThere(rootCa);
  if (text === undefined)
    throw new Error(`Cannot read root certificates: there is no file "${rootCa}"`);
  if (!text.includes("-----BEGIN CERTIFICATE-----"))
    throw new Error(
      `Cannot read root certificates: no certificate in ${isText ? "the given text" : `"${rootCa}"`}`,
    );
  return text;
}

/**
 * The bearer token, without line ends. Throws when it is empty: a call without it could only be refused. A path whose file
 * is gone is not taken for a token, which has no slashes.
 */
function readToken(authToken: string): string {
  const found = readIfThere(authToken);
  if (found === undefined && authToken.includes("/"))
    throw new Error(`Cannot authenticate to the control plane: there is no file "${authToken}"`);
  const token = (found ?? authToken).trim();
  if (token === "") throw new Error("Cannot authenticate to the control plane: the token is empty");
  return token;
}

/** Headers of one call. */
export function callMetadata(endpoint: GrpcEndpointOptions): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of endpoint.headers) metadata.set(name, value);
  if (endpoint.authToken !== undefined)
    metadata.set("authorization", `Bearer ${readToken(endpoint.authToken)}`);
  metadata.set("clusterid", endpoint.clusterId);
  return metadata;
}

/** Where to connect and how; throws when the roots cannot be read. */
export function grpcTarget(endpoint: GrpcEndpointOptions): GrpcTarget {
  const url = new URL(endpoint.address);
  const { altHostname } = endpoint;
  const target = `${url.hostname}:${url.port || (url.protocol === "http:" ? "80" : "443")}`;
  const options: ChannelOptions = {
    "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
    "grpc.max_send_message_length": MAX_MESSAGE_BYTES,
    "grpc.keepalive_time_ms": PING_INTERVAL_MS,
    "grpc.keepalive_timeout_ms": PING_TIMEOUT_MS,
    "grpc.service_config_disable_resolution": 1,
    // Retrying is the callers' business, and a proxy from the environment has no place on the way to the control plane.
    "grpc.enable_retries": 0,
    "grpc.enable_http_proxy": 0,
    "grpc.use_local_subchannel_pool": 1,
  };
  if (url.protocol === "http:")
    return { target, credentials: watched(credentials.createInsecure(), rules), options };
  // Not the host that grpc-js passes: for an address that is the name we send below.
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const verify = (_sent: string, certificate: PeerCertificate): Error | undefined => {
    const problem = checkServerIdentity(host, certificate);
    if (problem === undefined || altHostname === undefined) return problem;
    return checkServerIdentity(altHostname, certificate);
  };
  const roots = Buffer.from(readRoots(endpoint.rootCa));
  const tls = credentials.createSsl(roots, null, null, { checkServerIdentity: verify });
  return {
    target,
    credentials: watched(tls, rules),
    // An address is no server name (RFC 6066), but grpc-js would send it.
    options: isIP(host)
      ? { ...options, "grpc.ssl_target_name_override": altHostname ?? SERVICE_NAME }
      : options,
  };
}
