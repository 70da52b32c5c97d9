/** The server's side of a TLS handshake on a socket that somebody else accepted. */
import { EventEmitter } from "node:events";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Server, TLSSocket } from "node:tls";
import { describeError } from "../base/errors.ts";

export type Accepted = (error: Error | undefined, tls: TLSSocket) => void;

/**
 * Hands one socket to a TLS server, which is the documented way to run its side of a handshake on any stream, and learns the
 * outcome for this very socket: the server reports by events that do not say which socket they are about, so it sees a
 * view of itself whose `emit` is ours.
 */
export function acceptTls(server: Server, socket: Socket | Duplex, report: Accepted): void {
  const emit = (event: string, ...args: unknown[]): boolean => {
    switch (event) {
      case "secureConnection":
        report(undefined, args[0] as TLSSocket);
        return true;
      case "tlsClientError": {
        const [error, tls] = args as [Error, TLSSocket];
        // Set when the chain did not verify; the error itself says only that the socket closed.
        const reason = tls.authorizationError as unknown;
        report(reason ? new Error(`peer certificate: ${describeError(reason)}`) : error, tls);
        return true;
      }
      default:
        return EventEmitter.prototype.emit.call(server, event, ...args);
    }
  };
  const view: Server = Object.create(server, { emit: { value: emit } });
  EventEmitter.prototype.emit.call(view, "connection", socket);
}
