/** When what happened to a request: one object for each, written by the exchange and its router, read by logs. */
import type { StreamTiming } from "../telemetry/record.ts";

export class Moments implements StreamTiming {
  requestEndMs: number | undefined = undefined;
  // Of the last attempt, as Envoy keeps them with each upstream request.
  upstreamFirstSentMs: number | undefined = undefined;
  upstreamLastSentMs: number | undefined = undefined;
  upstreamFirstReceivedMs: number | undefined = undefined;
  upstreamLastReceivedMs: number | undefined = undefined;
  responseFirstSentMs: number | undefined = undefined;
  responseLastSentMs: number | undefined = undefined;

  /** The head went up; `whole`: with all of the request. */
  sentUpstream(atMs: number, whole: boolean): void {
    this.upstreamFirstSentMs = atMs;
    if (whole) this.upstreamLastSentMs = atMs;
  }

  receivedUpstream(atMs: number, whole: boolean): void {
    this.upstreamFirstReceivedMs = atMs;
    if (whole) this.upstreamLastReceivedMs = atMs;
  }

  attemptBegins(): void {
    this.upstreamFirstSentMs = undefined;
    this.upstreamLastSentMs = undefined;
    this.upstreamFirstReceivedMs = undefined;
    this.upstreamLastReceivedMs = undefined;
  }
}
