/** One packet in, one packet out (or none): parses, decides, answers or forwards, counts and logs. */
import type { Clock } from "../../shared/base/clock.ts";
import { describeError } from "../../shared/base/errors.ts";
import type { Logger } from "../../shared/telemetry/logger.ts";
import { answerResponse, errorResponse, maxResponseBytes } from "./answer.ts";
import { kubernetesSearchDomains } from "./candidates.ts";
import type { ExchangeOutcome } from "./exchange.ts";
import {
  addressFamilyOf,
  parseClientMessage,
  type Query,
  rcode,
  recordTypeName,
} from "./message.ts";
import type { DnsMetrics, DnsProtocol, DnsSeries } from "./metrics.ts";
import { nameText } from "./name.ts";
import { type Resolution, resolve } from "./resolve.ts";
import { joinSearchDomains, normalizeDomain } from "./resolver-settings.ts";
import type { DnsClient, DnsView } from "./view.ts";

export interface HandlerDeps {
  readonly view: DnsView;
  readonly client: () => DnsClient | undefined | Promise<DnsClient | undefined>;
  /** The pod's own search list, as far as it is known. */
  readonly searchDomains: () => readonly string[];
  readonly forward: (query: Uint8Array, protocol: DnsProtocol) => Promise<ExchangeOutcome>;
  readonly metrics: DnsMetrics;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly random: () => number;
}

export interface HandlerSettings {
  readonly clusterDomain: string;
  readonly preferredNamespace?: string | undefined;
  readonly ipv6Enabled: boolean;
}

/** What the log line says about a query. */
interface Outcome {
  readonly response: Uint8Array;
  readonly result: string;
  readonly addresses: number;
}

/** What is known about a packet that is worth a log line. */
interface Asked {
  readonly client: DnsClient | undefined;
  readonly query: Query | undefined;
}

export class DnsHandler {
  readonly #deps: HandlerDeps;
  readonly #settings: HandlerSettings;
  /** Series by protocol and type, for one client. */
  readonly #series = new Map<string, DnsSeries>();
  #seriesClient: DnsClient | undefined;

  constructor(deps: HandlerDeps, settings: HandlerSettings) {
    this.#deps = deps;
    this.#settings = { ...settings, clusterDomain: normalizeDomain(settings.clusterDomain) };
  }

  /** Never rejects because of the packet. Undefined: no answer. */
  async handle(packet: Uint8Array, protocol: DnsProtocol): Promise<Uint8Array | undefined> {
    const message = parseClientMessage(packet);
    switch (message.kind) {
      case "unreadable":
        return undefined;
      case "response":
        return errorResponse(message, rcode.formErr);
      case "malformed":
        this.#deps.logger.debug("malformed query", { reason: message.reason });
        return errorResponse(message, rcode.formErr);
      case "other-opcode": {
        const client = await this.#client();
        this.#seriesOf(client, undefined, protocol).request();
        const outcome = await this.#forward(packet, protocol, { client, query: undefined }, () =>
          errorResponse(message, rcode.servFail),
        );
        this.#log({ client, query: undefined }, outcome);
        return outcome.response;
      }
      case "query": {
        const client = await this.#client();
        const outcome = await this.#query(packet, message, protocol, client);
        this.#log({ client, query: message }, outcome);
        return outcome.response;
      }
    }
  }

  async #client(): Promise<DnsClient | undefined> {
    try {
      return await this.#deps.client();
    } catch (error) {
      this.#deps.logger.debug("client workload unknown", { error: describeError(error) });
      return undefined;
    }
  }

  async #query(
    packet: Uint8Array,
    query: Query,
    protocol: DnsProtocol,
    client: DnsClient | undefined,
  ): Promise<Outcome> {
    this.#seriesOf(client, query, protocol).request();
    const servFail = (): Uint8Array => errorResponse(query, rcode.servFail, query);
    const resolution = this.#resolve(query, client);
    switch (resolution.kind) {
      case "servfail":
        return { response: servFail(), result: "unknown client workload", addresses: 0 };
      case "forward":
        return this.#forward(packet, protocol, { client, query }, servFail);
      case "empty":
      case "answer":
        return this.#answer(query, protocol, resolution);
    }
  }

  #resolve(query: Query, client: DnsClient | undefined): Resolution {
    const [question, another] = query.questions;
    const single = another === undefined ? question : undefined;
    const { clusterDomain, preferredNamespace, ipv6Enabled } = this.#settings;
    const inCluster = kubernetesSearchDomains(client?.namespace ?? "", clusterDomain);
    return resolve(
      {
        name: single?.name ?? [],
        family: single === undefined ? undefined : addressFamilyOf(single),
      },
      {
        client,
        clusterDomain,
        preferredNamespace,
        ipv6Enabled,
        searchDomains: joinSearchDomains(inCluster, this.#deps.searchDomains()),
      },
      this.#deps.view,
    );
  }

  #answer(
    query: Query,
    protocol: DnsProtocol,
    resolution: Resolution & { kind: "answer" | "empty" },
  ): Outcome {
    if (query.edns !== undefined && query.edns.version > 0) {
      const response = errorResponse(query, rcode.badVers, query);
      return { response, result: "unsupported EDNS version", addresses: 0 };
    }
    const maxBytes = maxResponseBytes(query, protocol);
    if (resolution.kind === "empty") {
      const response = answerResponse(query, undefined, maxBytes);
      const unsupported = resolution.reason === "family-unsupported";
      const result = unsupported ? "service does not support this record type" : "no records";
      return { response, result, addresses: 0 };
    }
    const addresses = shuffled(resolution.addresses, this.#deps.random);
    const response = answerResponse(query, { ...resolution, addresses }, maxBytes);
    return { response, result: "success", addresses: addresses.length };
  }

  async #forward(
    packet: Uint8Array,
    protocol: DnsProtocol,
    asked: Asked,
    servFail: () => Uint8Array,
  ): Promise<Outcome> {
    const series = this.#seriesOf(asked.client, asked.query, protocol);
    series.upstreamRequest();
    const startMs = this.#deps.clock.monotonicMs();
    const outcome = await this.#deps.forward(packet, protocol);
    series.upstreamDuration((this.#deps.clock.monotonicMs() - startMs) / 1000);
    if (outcome.kind === "response")
      return { response: outcome.packet, result: "forwarded", addresses: 0 };
    series.upstreamFailure();
    return {
      response: servFail(),
      result: `forwarding failed (${outcome.reason})`,
      addresses: 0,
    };
  }

  #seriesOf(
    client: DnsClient | undefined,
    query: Query | undefined,
    protocol: DnsProtocol,
  ): DnsSeries {
    if (client !== this.#seriesClient) {
      this.#seriesClient = client;
      this.#series.clear();
    }
    const requestQueryType = recordTypeName(query?.questions[0]?.type);
    const key = `${protocol}/${requestQueryType}`;
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    const created = this.#deps.metrics.series({
      requestQueryType,
      requestProtocol: protocol,
      sourceCanonicalService: client?.canonicalName || "unknown",
      sourceCanonicalRevision: client?.canonicalRevision || "unknown",
    });
    this.#series.set(key, created);
    return created;
  }

  #log(asked: Asked, outcome: Outcome): void {
    const { logger } = this.#deps;
    if (!logger.enabled("debug")) return;
    const question = asked.query?.questions[0];
    logger.debug("dns query", {
      "src.workload": asked.client?.name,
      "src.namespace": asked.client?.namespace,
      query: question === undefined ? undefined : recordTypeName(question.type),
      domain: question === undefined ? undefined : nameText(question.name),
      result: outcome.result,
      endpoints: outcome.addresses,
    });
  }
}

/** Fisher-Yates, so that clients that take the first address spread over all. */
function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const order = [...items];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    const item = order[last] as T;
    order[last] = order[other] as T;
    order[other] = item;
  }
  return order;
}
