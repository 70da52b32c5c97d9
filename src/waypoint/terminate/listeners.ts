/** The listeners that `connect_terminate` asks for: opened when it comes, moved when it changes, closed when it goes. */
import { describeError, type MeshError } from "../../shared/base/errors.ts";
import { parseIp } from "../../shared/net/ip.ts";
import type { ListenTcpOptions, TcpListener } from "../../shared/os/network.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import type { TerminatePlan } from "./plan.ts";

export interface ListenersDeps {
  readonly log: Logger;
  /** Opens one, and sees to what it accepts. */
  readonly listen: (options: ListenTcpOptions) => Promise<TcpListener>;
}

export class Listeners {
  readonly #deps: ListenersDeps;
  readonly #open = new Map<string, TcpListener>();
  /** One change after the other. */
  #last: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(deps: ListenersDeps) {
    this.#deps = deps;
  }

  /** Where it listens, as `host:port`. */
  get ports(): readonly number[] {
    return [...this.#open.values()].map(({ port }) => port);
  }

  /** Listens on exactly these. Rejects when one cannot be bound; the others are. */
  apply(addresses: TerminatePlan["addresses"]): Promise<void> {
    const next = this.#last.then(() => this.#apply(addresses));
    this.#last = next.catch(() => undefined);
    return next;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#last;
    await this.#apply([]);
  }

  async #apply(addresses: TerminatePlan["addresses"]): Promise<void> {
    const wanted = new Map(
      (this.#closed ? [] : addresses).map((address) => [
        `${address.host} ${address.port}`,
        address,
      ]),
    );
    for (const [key, listener] of [...this.#open]) {
      if (wanted.has(key)) continue;
      this.#open.delete(key);
      await listener.close();
    }
    const failures: string[] = [];
    for (const [key, address] of wanted)
      if (!this.#open.has(key))
        await this.#listen(key, address).catch((thrown: unknown) =>
          failures.push(describeError(thrown)),
        );
    if (failures.length > 0) throw new Error(failures.join("; "));
  }

  async #listen(key: string, { host, port }: TerminatePlan["addresses"][number]): Promise<void> {
    const { log, listen } = this.#deps;
    const ip = parseIp(host);
    if (ip === undefined) throw new RangeError(`cannot listen on ${JSON.stringify(host)}`);
    const options = {
      ip,
      port,
      reusePort: true,
      transparent: "never",
      // Bursts of clients after a restart; the kernel caps it.
      backlog: 4096,
      onAcceptError: (error: MeshError) =>
        log.warn("cannot accept a connection", { error: describeError(error) }),
    } as const;
    const listener = await listen(options);
    this.#open.set(key, listener);
    log.info("listening", { host, port: listener.port });
  }
}
