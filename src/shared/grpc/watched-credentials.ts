/**
 * What grpc-js has no options for: TCP keepalive on the connections of a channel, and an end to those that lead nowhere.
 * Its credentials see every socket between the TCP connection and the TLS handshake; these pass it on, and watch.
 */
import type { Socket } from "node:net";
import { ChannelCredentials } from "@grpc/grpc-js";
import { descriptorOf } from "../os/descriptor.ts";
import type { KeepAlive } from "../os/network.ts";
import { setKeepAlive } from "../os/socket-options.ts";

type ConnectorArguments = Parameters<ChannelCredentials["_createSecureConnector"]>;
type SecureConnector = ReturnType<ChannelCredentials["_createSecureConnector"]>;

export interface ConnectionRules {
  readonly keepAlive: KeepAlive;
  /** A server that does not answer the TLS handshake for so long is left. */
  readonly handshakeTimeoutMs: number;
}

class WatchedConnector implements SecureConnector {
  readonly #inner: SecureConnector;
  readonly #rules: ConnectionRules;
  readonly #sockets = new Set<Socket>();
  #destroyed = false;

  constructor(inner: SecureConnector, rules: ConnectionRules) {
    this.#inner = inner;
    this.#rules = rules;
  }

  connect(socket: Socket): ReturnType<SecureConnector["connect"]> {
    const { keepAlive, handshakeTimeoutMs } = this.#rules;
    const fd = descriptorOf(socket);
    if (fd !== undefined) setKeepAlive(fd, keepAlive);
    this.#sockets.add(socket);
    return new Promise((resolve, reject) => {
      socket.once("close", () => {
        this.#sockets.delete(socket);
        reject(new Error("connection closed during the TLS handshake"));
      });
      // The channel was closed while the connection was made: nobody else would end it.
      if (this.#destroyed) socket.destroy();
      socket.setTimeout(handshakeTimeoutMs, () => socket.destroy());
      this.#inner.connect(socket).then((connected) => {
        socket.setTimeout(0);
        resolve(connected);
      }, reject);
    });
  }

  waitForReady(): Promise<void> {
    return this.#inner.waitForReady();
  }

  getCallCredentials(): ReturnType<SecureConnector["getCallCredentials"]> {
    return this.#inner.getCallCredentials();
  }

  /** No call needs the connection any more. The channel forgets those that have not got to HTTP/2 yet. */
  destroy(): void {
    this.#destroyed = true;
    this.#inner.destroy();
    for (const socket of this.#sockets) socket.destroy();
  }
}

class WatchedCredentials extends ChannelCredentials {
  readonly #inner: ChannelCredentials;
  readonly #rules: ConnectionRules;

  constructor(inner: ChannelCredentials, rules: ConnectionRules) {
    super();
    this.#inner = inner;
    this.#rules = rules;
  }

  override _isSecure(): boolean {
    return this.#inner._isSecure();
  }

  /** Decides whether channels may share connections: ours never do. */
  override _equals(other: ChannelCredentials): boolean {
    return this === other;
  }

  override _createSecureConnector(...words: ConnectorArguments): SecureConnector {
    return new WatchedConnector(this.#inner._createSecureConnector(...words), this.#rules);
  }
}

export function watched(inner: ChannelCredentials, rules: ConnectionRules): ChannelCredentials {
  return new WatchedCredentials(inner, rules);
}
