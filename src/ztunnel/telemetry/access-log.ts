/** The access log: fields in the reference's order; what is not known is left out (wire/ztunnel.md section 9.1). */
import { formatSocketAddress, type SocketAddress } from "../../shared/net/authority.ts";
import type { FieldPrinter } from "../../shared/telemetry/log-fields.ts";
import type { Logger, LogLevel } from "../../shared/telemetry/logger.ts";
import type { Party } from "./party.ts";
import type { TrafficContext } from "./traffic.ts";

export type Direction = "outbound" | "inbound";

export interface AccessFacts {
  readonly direction: Direction;
  readonly source: SocketAddress;
  /** The TCP destination that was really used. */
  readonly destination: SocketAddress;
  /** Authority of the CONNECT. */
  readonly hboneAuthority?: string | undefined;
}

export interface AccessEnd {
  /** As the application on the reporting side sees it. */
  readonly bytesSent: number;
  readonly bytesReceived: number;
  readonly durationMs: number;
  readonly error?: string | undefined;
  /** The policy and rule that decided, for denials; ours, the reference has no such fields. */
  readonly policy?: string | undefined;
}

/** What one end prints beside its address, kept for the next connection of the same end. */
interface PrintedParty {
  readonly identity: string | undefined;
  readonly service: string | undefined;
  readonly text: string;
}

export class AccessLog {
  /** Of scope `access`. */
  readonly #logger: Logger;
  readonly #sources = new WeakMap<Party, PrintedParty>();
  readonly #destinations = new WeakMap<Party, PrintedParty>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  opened(facts: AccessFacts, context: TrafficContext): void {
    if (!this.#logger.enabled("debug")) return;
    this.#logger.print("debug", "connection opened", this.#print(facts, context));
  }

  completed(facts: AccessFacts, context: TrafficContext, end: AccessEnd): void {
    const level: LogLevel = end.error === undefined ? "info" : "error";
    if (!this.#logger.enabled(level)) return;
    const fields = this.#print(facts, context)
      .add("bytes_sent", end.bytesSent)
      .add("bytes_recv", end.bytesReceived)
      .add("duration", `${Math.floor(end.durationMs)}ms`)
      .add("error", end.error)
      .add("policy", end.policy);
    this.#logger.print(level, "connection complete", fields);
  }

  /** A connection that was refused before anything about it was known. */
  earlyDeny(
    direction: Direction,
    source: SocketAddress | undefined,
    destination: SocketAddress | undefined,
    error: string,
  ): void {
    const fields = this.#logger.printer();
    if (source !== undefined) fields.addBare("src.addr", formatSocketAddress(source));
    if (destination !== undefined) fields.addBare("dst.addr", formatSocketAddress(destination));
    fields.add("direction", direction).add("error", error);
    this.#logger.print("warn", "connection failed", fields);
  }

  #print(facts: AccessFacts, context: TrafficContext): FieldPrinter {
    const fields = this.#logger
      .printer()
      .addBare("src.addr", formatSocketAddress(facts.source))
      .addPrinted(this.#source(context))
      .addBare("dst.addr", formatSocketAddress(facts.destination));
    if (facts.hboneAuthority !== undefined) fields.addBare("dst.hbone_addr", facts.hboneAuthority);
    return fields.addPrinted(this.#destination(context)).add("direction", facts.direction);
  }

  #source({ source, sourceIdentity: identity }: TrafficContext): string {
    const known = source && this.#sources.get(source);
    if (known !== undefined && known.identity === identity) return known.text;
    const { text } = this.#logger
      .printer()
      .add("src.workload", unlessEmpty(source?.displayName))
      .add("src.namespace", unlessEmpty(source?.namespace))
      .add("src.identity", unlessEmpty(identity))
      .add("src.cluster", unlessEmpty(source?.clusterId));
    if (source !== undefined) this.#sources.set(source, { identity, service: undefined, text });
    return text;
  }

  #destination({ destination, destinationIdentity: identity, service }: TrafficContext): string {
    const known = destination && this.#destinations.get(destination);
    const hostname = service?.hostname;
    if (known !== undefined && known.identity === identity && known.service === hostname)
      return known.text;
    const { text } = this.#logger
      .printer()
      .add("dst.service", unlessEmpty(hostname))
      .add("dst.workload", unlessEmpty(destination?.displayName))
      .add("dst.namespace", unlessEmpty(destination?.namespace))
      .add("dst.identity", unlessEmpty(identity))
      .add("dst.cluster", unlessEmpty(destination?.clusterId));
    if (destination !== undefined)
      this.#destinations.set(destination, { identity, service: hostname, text });
    return text;
  }
}

function unlessEmpty(value: string | undefined): string | undefined {
  return value === "" ? undefined : value;
}
