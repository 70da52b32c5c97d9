/**
 * Keeps one delta stream to the control plane and opens the next whenever it ends, for ever. What the responses mean is the
 * business of the protocol that it is given; that outlives the streams (wire/ztunnel.md sections 1.3 and 1.4).
 */
import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { DeltaDiscoveryResponse } from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { DeltaStream, OpenDeltaStream } from "./delta-stream.ts";
import { describeEnd, initialBackoffMs, planReconnect, type StreamEnd } from "./reconnect.ts";
import type { DeltaRequest, XdsEvents } from "./types.ts";

/** What a role makes of the exchange. */
export interface DeltaProtocol {
  /** The first requests of a new stream. */
  initialRequests(): readonly DeltaRequest[];
  /** Takes effect before it returns, so that whoever sees the answer sees a proxy that acts on it. A throw ends the stream. */
  receive(response: DeltaDiscoveryResponse): readonly DeltaRequest[];
}

export interface DeltaConnectionDeps {
  /** Opens a stream, see openDeltaStream; a throw counts as a stream that could not be opened. */
  readonly open: OpenDeltaStream;
  readonly clock: Pick<Clock, "sleep">;
  readonly logger: Logger;
  readonly events?: Partial<XdsEvents> | undefined;
}

export class DeltaConnection {
  readonly #deps: DeltaConnectionDeps;
  readonly #protocol: DeltaProtocol;
  #stream: DeltaStream | undefined;

  constructor(deps: DeltaConnectionDeps, protocol: DeltaProtocol) {
    this.#deps = deps;
    this.#protocol = protocol;
  }

  /** Whether there is a stream, though it may still be opening. */
  get connected(): boolean {
    return this.#stream !== undefined;
  }

  /** Connects, and connects again whenever that ends; resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, events, logger } = this.#deps;
    let backoffMs = initialBackoffMs;
    while (!signal.aborted) {
      const { end, receivedAny } = await this.#oneStream(signal);
      if (end === undefined || signal.aborted) return;
      const plan = planReconnect(end, backoffMs, receivedAny);
      backoffMs = plan.nextBackoffMs;
      events?.terminated?.(plan.reason);
      logger.log(plan.reason.endsWith("Error") ? "warn" : "info", "xds stream ended", {
        reason: plan.reason,
        error: describeEnd(end),
        retry_in: `${plan.waitMs}ms`,
      });
      // Also a wait of 0 goes through the clock, so that a stream that ends at once cannot starve everything else.
      await clock.sleep(plan.waitMs, signal).catch(() => undefined);
    }
  }

  /** Without a stream nothing is sent: what a new one must say stands in the protocol's first requests. */
  send(request: DeltaRequest): void {
    this.#stream?.send(request);
  }

  #oneStream(signal: AbortSignal): Promise<StreamOutcome> {
    return new Promise((resolve) => {
      /** Something was received and could be processed. */
      let receivedAny = false;
      const settle = (end: StreamEnd | undefined): void => {
        signal.removeEventListener("abort", onAbort);
        this.#stream = undefined;
        resolve({ end, receivedAny });
      };
      const onAbort = (): void => {
        this.#stream?.close();
        settle(undefined);
      };
      signal.addEventListener("abort", onAbort, { once: true });
      try {
        const stream = this.#deps.open({
          onResponse: (response, bytes) => {
            this.#deps.events?.message?.(response.typeUrl, bytes);
            for (const request of this.#protocol.receive(response)) stream.send(request);
            receivedAny = true;
          },
          onEnd: settle,
        });
        this.#stream = stream;
        for (const request of this.#protocol.initialRequests()) stream.send(request);
      } catch (thrown) {
        settle({ kind: "not-opened", error: describeError(thrown) });
      }
    });
  }
}

interface StreamOutcome {
  /** Undefined: told to stop. */
  readonly end: StreamEnd | undefined;
  readonly receivedAny: boolean;
}
