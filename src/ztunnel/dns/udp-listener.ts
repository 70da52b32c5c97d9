/** Queries over UDP on one loopback address. */
import type { RemoteInfo, Socket } from "node:dgram";
import { describeError } from "../../shared/base/errors.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";

/** More packets under way than this are dropped, as a full socket would; the client asks again. */
const MAX_OPEN = 8192;
/** Room for a burst; the kernel grants what its limit allows. */
const RECEIVE_BUFFER_BYTES = 1 << 20;

export interface UdpListenerDeps {
  readonly handle: (packet: Uint8Array) => Promise<Uint8Array | undefined>;
  readonly logger: Logger;
}

export class UdpListener {
  readonly #socket: Socket;
  readonly #deps: UdpListenerDeps;
  readonly port: number;
  #open = 0;
  #closed = false;

  /** Takes over a bound socket. */
  constructor(socket: Socket, deps: UdpListenerDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.port = socket.address().port;
    try {
      socket.setRecvBufferSize(RECEIVE_BUFFER_BYTES);
    } catch (error) {
      deps.logger.debug("receive buffer not enlarged", { error: describeError(error) });
    }
    socket.on("message", (packet, from) => this.#receive(packet, from));
    // A failed receive concerns one datagram; the socket goes on.
    socket.on("error", (error) => deps.logger.warn("udp receive failed", { error: error.message }));
  }

  /** Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.close();
  }

  #receive(packet: Uint8Array, from: RemoteInfo): void {
    // A packet forged to come from this very socket would make it talk to itself for ever.
    if (from.port === this.port || this.#open >= MAX_OPEN) return;
    this.#open++;
    const done = (response?: Uint8Array): void => {
      this.#open--;
      if (response === undefined || this.#closed) return;
      this.#socket.send(response, from.port, from.address, (error) => {
        if (error) this.#deps.logger.debug("udp send failed", { error: error.message });
      });
    };
    this.#deps.handle(packet).then(done, (error: unknown) => {
      this.#deps.logger.error("query failed", { error: describeError(error) });
      done();
    });
  }
}
