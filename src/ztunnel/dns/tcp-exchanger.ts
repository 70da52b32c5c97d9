/** Asks one nameserver over TCP, a connection a query. A stream cannot be forged from aside, so the id stays the client's. */
import type { Socket } from "node:net";
import { describeError } from "../../shared/base/errors.ts";
import type { SocketAddress } from "../../shared/net/authority.ts";
import { type ExchangeOutcome, type Exchanger, failed } from "./exchange.ts";
import { FrameReader, frame } from "./framing.ts";
import { answers, idOf } from "./match.ts";
import type { ExchangerDeps } from "./udp-exchanger.ts";

export class TcpExchanger implements Exchanger {
  readonly #deps: ExchangerDeps;
  readonly #server: SocketAddress;
  readonly #stopped = new AbortController();

  constructor(deps: ExchangerDeps, server: SocketAddress) {
    this.#deps = deps;
    this.#server = server;
  }

  async exchange(query: Uint8Array, timeoutMs: number): Promise<ExchangeOutcome> {
    const { clock, network, mark } = this.#deps;
    const deadlineMs = clock.monotonicMs() + timeoutMs;
    try {
      const socket = await network.dialTcp({
        destination: this.#server,
        timeoutMs,
        signal: this.#stopped.signal,
        ...(mark === undefined ? {} : { mark }),
      });
      return await this.#ask(socket, query, deadlineMs - clock.monotonicMs());
    } catch (error) {
      return failed(describeError(error));
    }
  }

  close(): void {
    this.#stopped.abort(new Error("stopped"));
  }

  #ask(socket: Socket, query: Uint8Array, timeoutMs: number): Promise<ExchangeOutcome> {
    return new Promise((resolve) => {
      const onStop = (): void => finish(failed("stopped"));
      const finish = (outcome: ExchangeOutcome): void => {
        timer.cancel();
        this.#stopped.signal.removeEventListener("abort", onStop);
        socket.destroy();
        resolve(outcome);
      };
      const timer = this.#deps.clock.after(timeoutMs, () => finish(failed("timed out")));
      this.#stopped.signal.addEventListener("abort", onStop, { once: true });
      const reader = new FrameReader();
      const expected = { id: idOf(query), query };
      socket.on("data", (chunk: Uint8Array) => {
        const packet = reader.push(chunk).find((message) => answers(expected, message));
        if (packet !== undefined) finish({ kind: "response", packet });
      });
      socket.on("end", () => finish(failed("connection closed by the nameserver")));
      socket.on("error", (error) => finish(failed(describeError(error))));
      socket.on("close", () => finish(failed("connection closed")));
      socket.write(frame(query));
      socket.resume();
    });
  }
}
