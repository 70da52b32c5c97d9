/** Clusters of fixed addresses over plain sockets and HTTP/1.1: as little as an exchange needs. */
import { connect } from "node:net";
import { systemClock } from "../../../src/shared/base/clock.ts";
import {
  defaultHttp1ClientSettings,
  Http1Client,
} from "../../../src/waypoint/http/http1/client.ts";
import type { RequestHead } from "../../../src/waypoint/http/message.ts";
import type { BodyWriter } from "../../../src/waypoint/http/stream.ts";
import { openingOf, openTransport } from "../../../src/waypoint/http/transport.ts";
import type {
  AttemptOutcome,
  Cluster,
  Clusters,
  Endpoint,
  Picked,
  PickFacts,
  RetryPermit,
  UpstreamReceiver,
} from "../../../src/waypoint/upstream/upstream.ts";

export function endpointAt(port: number): Endpoint {
  const address = `127.0.0.1:${port}`;
  return { address, ip: "127.0.0.1", port, hostText: address, peer: undefined };
}

export class StaticCluster implements Cluster {
  readonly name: string;
  readonly service = undefined;
  readonly outcomes: AttemptOutcome[] = [];
  readonly picks: PickFacts[] = [];
  retriesAllowed = Number.POSITIVE_INFINITY;
  openRetries = 0;
  recording = true;
  readonly #endpoints: readonly Endpoint[];
  readonly #idle = new Map<string, Http1Client[]>();
  readonly #open = new Set<Http1Client>();
  #next = 0;

  constructor(name: string, endpoints: readonly Endpoint[]) {
    this.name = name;
    this.#endpoints = endpoints;
  }

  tryStartRetry(): RetryPermit | undefined {
    if (this.openRetries >= this.retriesAllowed) return undefined;
    this.openRetries++;
    return {
      release: () => {
        this.openRetries--;
      },
    };
  }

  pick(facts: PickFacts): Picked {
    if (this.recording) this.picks.push(facts);
    const fresh = this.#endpoints.filter((one) => !facts.tried.includes(one));
    const from = fresh.length > 0 ? fresh : this.#endpoints;
    const endpoint = from[this.#next++ % from.length];
    if (endpoint === undefined) return { kind: "none", flag: "UH", details: "no_healthy_upstream" };
    return { kind: "endpoint", endpoint };
  }

  request(
    endpoint: Endpoint,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
  ): BodyWriter {
    const idle = this.#idle.get(endpoint.address)?.pop();
    if (idle !== undefined) {
      receiver.connected({ protocol: "HTTP/1.1", localAddress: undefined, reused: true });
      return idle.open(head, endStream, receiver);
    }
    return new Pending(this.#dial(endpoint), head, endStream, receiver);
  }

  connect(): Promise<never> {
    throw new Error("not here");
  }

  report(_endpoint: Endpoint, outcome: AttemptOutcome): void {
    if (this.recording) this.outcomes.push(outcome);
  }

  close(): void {
    for (const client of this.#open) client.destroy({ kind: "local", detail: "test over" });
  }

  #dial(endpoint: Endpoint): Promise<Http1Client> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        port: endpoint.port,
        host: endpoint.ip,
        noDelay: true,
        allowHalfOpen: true,
      });
      socket.once("error", reject);
      socket.once("connect", () => {
        socket.off("error", reject);
        const client: Http1Client = new Http1Client(
          openTransport(openingOf(socket), systemClock),
          defaultHttp1ClientSettings,
          {
            available: () => this.#keep(endpoint.address, client),
            unusable: () => this.#forget(endpoint.address, client),
          },
        );
        this.#open.add(client);
        client.start();
        resolve(client);
      });
    });
  }

  #keep(address: string, client: Http1Client): void {
    const idle = this.#idle.get(address);
    if (idle === undefined) this.#idle.set(address, [client]);
    else idle.push(client);
  }

  #forget(address: string, client: Http1Client): void {
    this.#open.delete(client);
    const idle = this.#idle.get(address) ?? [];
    const at = idle.indexOf(client);
    if (at >= 0) idle.splice(at, 1);
  }
}

/** A request that waits for its connection. */
class Pending implements BodyWriter {
  #writer: BodyWriter | undefined;
  #early: (() => void)[] = [];
  #cancelled = false;

  constructor(
    dialing: Promise<Http1Client>,
    head: RequestHead,
    endStream: boolean,
    receiver: UpstreamReceiver,
  ) {
    dialing.then(
      (client) => {
        if (this.#cancelled) {
          client.drain();
          return;
        }
        receiver.connected({ protocol: "HTTP/1.1", localAddress: undefined, reused: false });
        const writer = client.open(head, endStream, receiver);
        this.#writer = writer;
        const early = this.#early;
        this.#early = [];
        for (const call of early) call();
        if (early.length > 0) receiver.writable();
      },
      (error: Error) => {
        if (!this.#cancelled)
          receiver.unavailable({ kind: "connect-failed", reason: error.message });
      },
    );
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#writer !== undefined) return this.#writer.body(bytes, start, end);
    const copy = Buffer.from(bytes.subarray(start, end));
    this.#early.push(() => this.#writer?.body(copy, 0, copy.length));
    return false;
  }

  end(trailers: Parameters<BodyWriter["end"]>[0]): void {
    if (this.#writer !== undefined) this.#writer.end(trailers);
    else this.#early.push(() => this.#writer?.end(trailers));
  }

  reset(reason: Parameters<BodyWriter["reset"]>[0]): void {
    this.#cancelled = true;
    this.#writer?.reset(reason);
  }

  resume(): void {
    this.#writer?.resume();
  }
}

export function clustersOf(...clusters: readonly Cluster[]): Clusters {
  const byName = new Map(clusters.map((cluster) => [cluster.name, cluster]));
  return { get: (name) => byName.get(name) };
}
