/**
 * The series of one configuration, found without making anything for a request whose kind has been seen before: by source,
 * destination and class of answer. The caches hold objects of other parts (workloads), so they are bounded and start anew
 * when they are full; the series themselves are found again by their labels.
 */
import { grpcStatusOf, isGrpc } from "../grpc-status.ts";
import type { HttpRecord, PeerWorkload, StreamRecord } from "../record.ts";
import { shortFlags } from "../response-flags.ts";
import type { Families } from "./families.ts";
import { destinationLabels, type Label, securityLabel, sourceLabels } from "./labels.ts";
import { type CounterMeter, type HistogramMeter, Meters } from "./meters.ts";
import type { MetricOverrides } from "./overrides.ts";

export interface RequestMeters {
  readonly requests: CounterMeter;
  readonly duration: HistogramMeter;
  readonly requestBytes: HistogramMeter;
  readonly responseBytes: HistogramMeter;
}

export interface MessageMeters {
  readonly request: CounterMeter;
  readonly response: CounterMeter;
}

export interface ConnectionMeters {
  readonly opened: CounterMeter;
  readonly closed: CounterMeter;
  readonly sent: CounterMeter;
  readonly received: CounterMeter;
}

interface Destination {
  readonly labels: readonly Label[];
}

/** One source towards one destination. */
interface Pair {
  readonly labels: readonly Label[];
  readonly security: Label;
  /** By class of answer: the status alone in the common case, else all of it as text. */
  readonly requests: Map<number | string, RequestMeters>;
  readonly connections: Map<string, ConnectionMeters>;
  messages: MessageMeters | undefined;
}

interface Source {
  readonly labels: readonly Label[];
  readonly security: Label;
  readonly pairs: Map<Destination, Pair>;
}

/** By what the mesh knows of the address, then by the certificate's principal. */
type Sources = Map<PeerWorkload | undefined, Map<string | undefined, Source>>;

const MAX_CACHED = 20_000;

export class Recorder {
  readonly #meters: Meters;
  readonly #sources: Sources = new Map();
  /** Of connections without a certificate of ours. */
  readonly #plainSources: Sources = new Map();
  readonly #destinations = new Map<string, Map<PeerWorkload | undefined, Destination>>();
  #cached = 0;

  constructor(families: Families, overrides: MetricOverrides) {
    this.#meters = new Meters(families, overrides);
  }

  requests(record: StreamRecord, http: HttpRecord): RequestMeters {
    const pair = this.#pair(record);
    const key = this.#classOf(record, http);
    let meters = pair.requests.get(key);
    if (meters === undefined) {
      this.#count();
      meters = this.#makeRequests(pair, record, http);
      pair.requests.set(key, meters);
    }
    return meters;
  }

  messages(record: StreamRecord): MessageMeters {
    const pair = this.#pair(record);
    // The reference counts messages before it knows how the stream ends: labels of the peers only.
    pair.messages ??= {
      request: this.#meters.counter("request_messages_total", pair.labels),
      response: this.#meters.counter("response_messages_total", pair.labels),
    };
    return pair.messages;
  }

  connections(record: StreamRecord): ConnectionMeters {
    const pair = this.#pair(record);
    const flags = shortFlags(record.flags);
    let meters = pair.connections.get(flags);
    if (meters === undefined) {
      this.#count();
      const labels: Label[] = [
        ...pair.labels,
        ["request_protocol", "tcp"],
        ["response_flags", flags],
        pair.security,
      ];
      meters = {
        opened: this.#meters.counter("tcp_connections_opened_total", labels),
        closed: this.#meters.counter("tcp_connections_closed_total", labels),
        sent: this.#meters.counter("tcp_sent_bytes_total", labels),
        received: this.#meters.counter("tcp_received_bytes_total", labels),
      };
      pair.connections.set(flags, meters);
    }
    return meters;
  }

  #classOf({ flags }: StreamRecord, http: HttpRecord): number | string {
    const grpc = isGrpc(http);
    if (flags.length === 0 && !grpc) return http.status;
    return `${http.status} ${grpc ? (grpcStatusOf(http) ?? "") : "http"} ${shortFlags(flags)}`;
  }

  #makeRequests(pair: Pair, { flags }: StreamRecord, http: HttpRecord): RequestMeters {
    const grpc = isGrpc(http);
    const status = grpc ? grpcStatusOf(http) : undefined;
    const labels: Label[] = [
      ...pair.labels,
      ["request_protocol", grpc ? "grpc" : "http"],
      ["response_code", String(http.status)],
      ["grpc_response_status", status === undefined ? "" : String(status)],
      ["response_flags", shortFlags(flags)],
      pair.security,
    ];
    return {
      requests: this.#meters.counter("requests_total", labels),
      duration: this.#meters.histogram("request_duration_milliseconds", labels),
      requestBytes: this.#meters.histogram("request_bytes", labels),
      responseBytes: this.#meters.histogram("response_bytes", labels),
    };
  }

  #pair(record: StreamRecord): Pair {
    const source = this.#source(record);
    const destination = this.#destination(record);
    let pair = source.pairs.get(destination);
    if (pair === undefined) {
      this.#count();
      pair = {
        labels: [...source.labels, ...destination.labels],
        security: source.security,
        requests: new Map(),
        connections: new Map(),
        messages: undefined,
      };
      source.pairs.set(destination, pair);
    }
    return pair;
  }

  #source({ source: peer, downstream }: StreamRecord): Source {
    const { peerPrincipal, localPrincipal } = downstream;
    const sources = localPrincipal === undefined ? this.#plainSources : this.#sources;
    let byPrincipal = sources.get(peer);
    if (byPrincipal === undefined) {
      byPrincipal = new Map();
      sources.set(peer, byPrincipal);
    }
    let found = byPrincipal.get(peerPrincipal);
    if (found === undefined) {
      this.#count();
      found = {
        labels: sourceLabels(peer, peerPrincipal),
        security: securityLabel(peerPrincipal, localPrincipal),
        pairs: new Map(),
      };
      byPrincipal.set(peerPrincipal, found);
    }
    return found;
  }

  #destination({ upstream }: StreamRecord): Destination {
    const cluster = upstream?.cluster ?? "";
    let byPeer = this.#destinations.get(cluster);
    if (byPeer === undefined) {
      byPeer = new Map();
      this.#destinations.set(cluster, byPeer);
    }
    let found = byPeer.get(upstream?.peer);
    if (found === undefined) {
      this.#count();
      found = { labels: destinationLabels(upstream) };
      byPeer.set(upstream?.peer, found);
    }
    return found;
  }

  #count(): void {
    if (++this.#cached <= MAX_CACHED) return;
    this.#cached = 0;
    this.#sources.clear();
    this.#plainSources.clear();
    this.#destinations.clear();
  }
}
