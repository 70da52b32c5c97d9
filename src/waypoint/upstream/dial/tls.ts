/** TLS towards an endpoint, over a socket or inside a tunnel. */

import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import { connect, type SecureContext, type TLSSocket } from "node:tls";
import { describeError } from "../../../shared/base/errors.ts";
import type { PeerRules, UpstreamTls } from "../../model/upstream-transport.ts";
import { upstreamError } from "./failure.ts";
import { peerProblem } from "./peer-names.ts";

export interface TlsDial {
  readonly tls: UpstreamTls;
  readonly context: SecureContext;
  readonly serverName: string | undefined;
  /** The peer must have the server name, whatever other rules say. */
  readonly checkName: boolean;
  readonly alpn: readonly string[];
}

/** Resolves to the socket, paused, its peer checked. The stream below is destroyed when it fails. */
export function originateTls(
  stream: Duplex,
  dial: TlsDial,
  signal: AbortSignal,
): Promise<TLSSocket> {
  const { serverName } = dial;
  return new Promise((resolve, reject) => {
    const alpn = dial.alpn.length > 0 ? [...dial.alpn] : undefined;
    const secured = connect({
      socket: stream,
      secureContext: dial.context,
      ...(alpn === undefined ? {} : { ALPNProtocols: alpn }),
      // RFC 6066 section 3: an address is no server name.
      ...(serverName === undefined || isIP(serverName) !== 0 ? {} : { servername: serverName }),
      // The chain is OpenSSL's matter and asked for below; names are ours to judge, by the rules of the cluster.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
    });
    const settle = (finish: () => void): void => {
      signal.removeEventListener("abort", onAbort);
      secured.off("secureConnect", onSecure);
      secured.off("close", onClose);
      finish();
    };
    const fail = (reason: unknown): void =>
      settle(() => {
        secured.destroy();
        stream.destroy();
        reject(reason);
      });
    const onAbort = (): void => fail(signal.reason);
    const onClose = (): void =>
      fail(upstreamError("tls-failed", "TLS_error: connection closed during the handshake"));
    const onSecure = (): void => {
      const problem = problemOf(secured, dial);
      if (problem !== undefined) {
        fail(upstreamError("tls-failed", `TLS_error: ${problem}`));
        return;
      }
      settle(() => {
        secured.allowHalfOpen = true;
        resolve(secured);
      });
    };
    // Stays: a socket without a listener for errors would end the process.
    secured.on("error", (error) =>
      fail(upstreamError("tls-failed", `TLS_error: ${describeError(error)}`)),
    );
    secured.on("close", onClose);
    secured.on("secureConnect", onSecure);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort, { once: true });
  });
}

function problemOf(secured: TLSSocket, dial: TlsDial): string | undefined {
  const { tls, serverName, checkName } = dial;
  // OpenSSL's verdict on the chain, unless nothing was to be verified.
  if (tls.trust.kind !== "none" && !secured.authorized)
    return `certificate verify failed: ${String(secured.authorizationError)}`;
  const peer = secured.getPeerX509Certificate();
  if (peer === undefined) return tls.trust.kind === "none" ? undefined : "no peer certificate";
  const named = checkName && serverName !== undefined ? nameRules(serverName) : noRules;
  return peerProblem(peer, named) ?? peerProblem(peer, tls.peer);
}

const noRules: PeerRules = { names: [], certificateHashes: [], spkiHashes: [] };

function nameRules(name: string): PeerRules {
  const matcher = { kind: "exact", value: name, ignoreCase: true } as const;
  return { ...noRules, names: [{ type: isIP(name) === 0 ? "dns" : "ip", matcher }] };
}
