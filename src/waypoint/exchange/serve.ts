/** Joins server codecs with exchanges: what a connection on an HTTP chain needs. */
import type { AcceptRequest, ReportRefused } from "../http/stream.ts";
import type { HttpChain } from "../model/chain.ts";
import type { ExchangeDeps } from "./deps.ts";
import { Exchange } from "./exchange.ts";
import { refusedRecord } from "./records.ts";

export interface RequestHandling {
  readonly accept: AcceptRequest;
  readonly refused: ReportRefused;
}

/** `chain` is asked for each request, so that one on an old connection meets the configuration in force. */
export function handleRequests(deps: ExchangeDeps, chain: () => HttpChain): RequestHandling {
  return {
    accept: (head, endStream, stream) => {
      const exchange = new Exchange(deps, chain(), head, stream);
      exchange.start(endStream);
      return exchange;
    },
    refused: (refused, downstream) => {
      const present = chain();
      const record = refusedRecord(deps, present, refused, downstream);
      deps.telemetry.finish(present, record, undefined);
    },
  };
}
