/**
 * Carries one request to a cluster: attempts, retries and their deadlines, mirrors beside it, and the answer back. Envoy's
 * router filter (source/common/router/router.cc) is the measure for order, conditions and words.
 */
import type { Timer } from "../../shared/base/clock.ts";
import type { Fields, LocalReply, ResponseHead } from "../http/message.ts";
import type { Forward, Route, WeightedCluster } from "../model/route.ts";
import type { FormatUpstream } from "../routing/format.ts";
import { finalizeRequest, finalizeResponse } from "../routing/forward.ts";
import { hashRequest, type RouteHash } from "../routing/hash.ts";
import { setAuthority } from "../routing/rewrite.ts";
import type { UpstreamRecord } from "../telemetry/record.ts";
import type { AttemptOutcome, Cluster, Endpoint, PickFacts } from "../upstream/upstream.ts";
import { Attempt, type AttemptOwner } from "./attempt.ts";
import { BodyCopy } from "./body-copy.ts";
import { failureReply, noEndpoint, outcomeOf } from "./failure-reply.ts";
import { grpcStatusIn } from "./grpc.ts";
import type { RouterHost } from "./host.ts";
import { Mirrors } from "./mirrors.ts";
import { type Failure, flagOf, resetDetails, transportReason } from "./resets.ts";
import { Retries, type RetryVerdict } from "./retries.ts";
import { retryRules } from "./retry-policy.ts";
import { finalTimeouts, type Timeouts } from "./timeouts.ts";
import { TryTimers } from "./try-timers.ts";

/** Envoy's per-connection buffer limit: a longer body is not kept, and its request not repeated. */
const maxKeptBodyBytes = 1024 * 1024;

export interface Choice {
  readonly route: Route;
  readonly forward: Forward;
  readonly weighted: WeightedCluster | undefined;
  readonly cluster: Cluster;
}

export class Router implements AttemptOwner {
  readonly #host: RouterHost;
  readonly #choice: Choice;
  readonly #timeouts: Timeouts;
  readonly #hash: RouteHash;
  readonly #mirrors: Mirrors | undefined;
  #retries: Retries | undefined;
  #attempt: Attempt | undefined;
  #attempts = 0;
  /** Kept while an attempt may be repeated. */
  #kept: BodyCopy | undefined;
  #trailers: Fields | undefined;
  #requestEnded = false;
  #requestEndedMs = 0;
  #answered = false;
  #serviceTimeMs: number | undefined;
  #failureReason: string | undefined;
  #totalTimer: Timer | undefined;
  readonly #tryTimers = new TryTimers();
  #last: Attempt | undefined;

  constructor(host: RouterHost, choice: Choice) {
    this.#host = host;
    this.#choice = choice;
    const { forward, route, weighted, cluster } = choice;
    const { head, chain } = host;
    const { suppressEnvoyHeaders } = chain.http;
    this.#timeouts = finalTimeouts(forward, head.fields, host.isGrpc, suppressEnvoyHeaders);
    this.#hash = hashRequest(forward.hashPolicy, head, host.downstream);
    finalizeRequest(route, forward, weighted, host, !suppressEnvoyHeaders);
    const rules = retryRules(forward.retry, head.fields);
    if (rules !== undefined) this.#retries = new Retries(rules, cluster, host.clock, host.random);
    this.#mirrors =
      forward.mirrors.length > 0 ? Mirrors.start(host, forward, this.#timeouts) : undefined;
  }

  /** `endStream`: the head is all. Otherwise `body` and `end` follow. */
  start(endStream: boolean): void {
    this.#mirrors?.open(endStream);
    if (endStream) this.#requestIsWhole();
    else if (this.#retries !== undefined) this.#kept = new BodyCopy();
    this.#try();
  }

  body(bytes: Buffer, start: number, end: number): boolean {
    this.#mirrors?.body(bytes, start, end);
    const kept = this.#kept;
    if (kept !== undefined) {
      kept.add(bytes, start, end);
      if (kept.bytes > maxKeptBodyBytes && this.#attempt !== undefined) this.#stopRetries();
    }
    // Between attempts the body waits, at most so much of it.
    return this.#attempt?.send(bytes, start, end) ?? false;
  }

  end(trailers: Fields | undefined): void {
    this.#mirrors?.end(trailers);
    this.#trailers = trailers;
    const attempt = this.#attempt;
    this.#requestIsWhole();
    attempt?.sendEnd(trailers);
    if (attempt?.isConnected)
      this.#host.moments.upstreamLastSentMs = this.#host.moments.requestEndMs;
    if (attempt?.isConnected && attempt === this.#attempt) this.#armTryTimer();
  }

  /** The client takes more of the answer. */
  writable(): void {
    this.#attempt?.resume();
  }

  /** Nobody waits for an answer any more. */
  stop(detail: string): void {
    this.#attempt?.cancel(detail);
    this.#attempt = undefined;
    this.#over();
    this.#mirrors?.abandoned(this.#requestEnded);
  }

  upstreamRecord(): UpstreamRecord {
    const { cluster } = this.#choice;
    const attempt = this.#last;
    return {
      cluster: cluster.name,
      statName: cluster.statName,
      service: cluster.service,
      address: attempt?.endpoint.address,
      hostText: attempt?.endpoint.hostText,
      localAddress: attempt?.localAddress,
      protocol: attempt?.protocol,
      peer: attempt?.endpoint.peer,
      failureReason: this.#failureReason,
      attempts: this.#attempts,
      serviceTimeMs: this.#serviceTimeMs,
    };
  }

  /** For formats. */
  upstream(): FormatUpstream {
    const { endpoint, localAddress } = this.#last ?? {};
    return { cluster: this.#choice.cluster.name, hostText: endpoint?.hostText, localAddress };
  }

  // AttemptOwner

  attemptConnected(): void {
    this.#host.moments.sentUpstream(this.#host.sinceStartMs(), this.#requestEnded);
    if (this.#requestEnded) this.#armTryTimer();
  }

  attemptInterim(head: ResponseHead): void {
    // From here on the client has seen something of this attempt.
    this.#answered = true;
    this.#stopRetries();
    this.#host.interim(head);
  }

  attemptHead(head: ResponseHead, endStream: boolean): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#host.moments.receivedUpstream(this.#host.sinceStartMs(), endStream);
    this.#tryTimers.touch();
    this.#noteServiceTime();
    const grpcStatus = this.#host.isGrpc ? grpcStatusIn(head.fields) : undefined;
    if (!this.#host.isGrpc || endStream || grpcStatus !== undefined)
      this.#report(attempt, { kind: "status", status: head.status, grpcStatus });
    if (this.#retries !== undefined && this.#isRetried(this.#retries.afterAnswer(head))) {
      if (endStream) attempt.finished(this.#requestEnded);
      else attempt.cancel("retried");
      this.#again(attempt);
      return;
    }
    this.#stopRetries();
    this.#answered = true;
    const { route, forward, weighted } = this.#choice;
    if (forward.internalRedirect !== undefined && this.#host.redirects(head, forward)) {
      this.stop("redirected");
      return;
    }
    this.#addServiceTime(head);
    for (const cookie of this.#hash.setCookies) head.fields.append("set-cookie", cookie);
    this.#host.response = head;
    finalizeResponse(route, weighted, head, this.#host);
    this.#host.answer(head, endStream);
    if (endStream) this.#complete();
  }

  attemptBody(bytes: Buffer, start: number, end: number): boolean {
    this.#tryTimers.touch();
    return this.#host.answerBody(bytes, start, end);
  }

  attemptEnded(trailers: Fields | undefined): void {
    const attempt = this.#attempt;
    if (attempt !== undefined && this.#host.isGrpc && trailers !== undefined)
      this.#report(attempt, { kind: "status", status: 200, grpcStatus: grpcStatusIn(trailers) });
    this.#host.moments.upstreamLastReceivedMs = this.#host.sinceStartMs();
    this.#host.answerEnd(trailers);
    this.#complete();
  }

  attemptFailed(failure: Failure): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#report(attempt, outcomeOf(failure));
    this.#failed(attempt, failure);
  }

  attemptWritable(): void {
    this.#host.resumeRequest();
  }

  // Attempts.

  #try(): void {
    const { cluster, forward } = this.#choice;
    const host = this.#host;
    const facts: PickFacts = {
      hash: this.#hash.hash,
      downstream: host.downstream,
      downstreamProtocol: host.stream.protocol,
      tried: this.#retries?.tried ?? noEndpoints,
      hostSelectionAttempts: forward.retry?.hostSelectionAttempts ?? 1,
      previousPriorities: forward.retry?.previousPriorities,
      authority: host.head.authority,
    };
    const picked = cluster.pick(facts);
    if (picked.kind === "none") {
      this.#attempt = undefined;
      this.#reply(noEndpoint(picked.flag));
      return;
    }
    this.#attempts++;
    if (this.#attempts > 1) host.moments.attemptBegins();
    const attempt = new Attempt(this, picked.endpoint);
    this.#attempt = attempt;
    this.#last = attempt;
    const kept = this.#kept;
    this.#takeHostname(picked.endpoint);
    const rest = (kept?.bytes ?? 0) > 0 || this.#trailers !== undefined;
    const headOnly = this.#requestEnded && !rest;
    host.injectTrace();
    const writer = cluster.request(picked.endpoint, host.head, headOnly, attempt, facts);
    if (!attempt.opened(writer) || headOnly) return;
    const ready = kept?.giveTo(writer) ?? true;
    if (attempt.over) return;
    if (this.#requestEnded) writer.end(this.#trailers);
    else if (ready && this.#attempts > 1) host.resumeRequest();
  }

  #takeHostname({ hostname }: Endpoint): void {
    const { hostRewrite, appendXForwardedHost } = this.#choice.forward;
    if (hostRewrite.kind === "auto" && hostname !== undefined && hostname !== "")
      setAuthority(this.#host.head, hostname, appendXForwardedHost);
  }

  #failed(attempt: Attempt, failure: Failure): void {
    this.#tryTimers.stop();
    this.#failureReason = transportReason(failure) ?? this.#failureReason;
    const begun = attempt.isConnected;
    if (
      !this.#answered &&
      this.#retries !== undefined &&
      this.#isRetried(this.#retries.afterFailure(failure, begun))
    ) {
      this.#again(attempt);
      return;
    }
    this.#attempt = undefined;
    if (this.#answered) {
      this.#over();
      this.#host.breakOff(flagOf(failure), resetDetails(failure, true));
    } else {
      this.#reply(failureReply(failure, this.#attempts > 1));
    }
  }

  #isRetried(verdict: RetryVerdict): boolean {
    if (verdict === "spent") this.#host.addFlag("URX");
    if (verdict === "overflow") this.#host.addFlag("UO");
    return verdict === "retry";
  }

  #again(attempt: Attempt): void {
    this.#attempt = undefined;
    this.#tryTimers.stop();
    this.#retries?.schedule(attempt.endpoint, () => this.#try());
  }

  #stopRetries(): void {
    this.#retries?.stop();
    this.#retries = undefined;
    this.#kept = undefined;
  }

  #report(attempt: Attempt, outcome: AttemptOutcome): void {
    this.#choice.cluster.report(attempt.endpoint, outcome);
  }

  // Deadlines.

  #requestIsWhole(): void {
    this.#requestEnded = true;
    const { clock } = this.#host;
    this.#requestEndedMs = clock.monotonicMs();
    if (this.#timeouts.totalMs > 0 && !this.#isTunnel())
      this.#totalTimer = clock.after(this.#timeouts.totalMs, () => this.#totalTimeout());
  }

  /** A tunnel's half-close is no end of a request. */
  #isTunnel(): boolean {
    return this.#answered && this.#host.head.upgrade !== undefined;
  }

  #armTryTimer(): void {
    const { perTryMs, perTryIdleMs } = this.#timeouts;
    if ((perTryMs === 0 && perTryIdleMs === 0) || this.#answered) return;
    this.#tryTimers.arm(
      this.#host.clock,
      this.#timeouts,
      () => this.#tryTimeout(),
      () => this.#tryIsIdle(),
    );
  }

  #totalTimeout(): void {
    const attempt = this.#attempt;
    this.#attempt = undefined;
    if (attempt !== undefined) {
      if (!this.#answered) this.#report(attempt, { kind: "timeout" });
      attempt.cancel("timeout");
    }
    this.#timedOut("response_timeout");
  }

  #tryTimeout(): void {
    // Once something was passed on, only the whole request's deadline counts, and idleness.
    if (!this.#answered) this.#giveUpTry("upstream_per_try_timeout");
  }

  #tryIsIdle(): void {
    if (!this.#answered) {
      this.#giveUpTry("upstream_per_try_idle_timeout");
      return;
    }
    this.#attempt?.cancel("per-try idle timeout");
    this.#attempt = undefined;
    this.#timedOut("upstream_per_try_idle_timeout");
  }

  #giveUpTry(details: string): void {
    const attempt = this.#attempt;
    if (attempt === undefined) return;
    this.#report(attempt, { kind: "timeout" });
    attempt.cancel("per-try timeout");
    const verdict = this.#retries?.afterFailure({ kind: "per-try-timeout" }, true) ?? "no";
    if (this.#isRetried(verdict)) {
      this.#again(attempt);
      return;
    }
    this.#attempt = undefined;
    this.#timedOut(details);
  }

  #timedOut(details: string): void {
    if (this.#answered) {
      this.#over();
      this.#host.breakOff("UT", details);
      return;
    }
    this.#reply({ status: 504, body: "upstream request timeout", details, flags: ["UT"] });
  }

  // Endings.

  #complete(): void {
    this.#attempt?.finished(this.#requestEnded);
    this.#attempt = undefined;
    this.#over();
    this.#mirrors?.abandoned(this.#requestEnded);
    this.#host.answered("via_upstream");
  }

  #reply(reply: LocalReply): void {
    this.#over();
    this.#mirrors?.abandoned(this.#requestEnded);
    this.#host.localReply(reply);
  }

  #over(): void {
    this.#stopRetries();
    this.#totalTimer?.cancel();
    this.#tryTimers.stop();
  }

  #noteServiceTime(): void {
    if (this.#requestEnded)
      this.#serviceTimeMs = this.#host.clock.monotonicMs() - this.#requestEndedMs;
  }

  #addServiceTime(head: ResponseHead): void {
    if (this.#serviceTimeMs === undefined || this.#host.chain.http.suppressEnvoyHeaders) return;
    const text = String(Math.floor(this.#serviceTimeMs));
    head.fields.set("x-envoy-upstream-service-time", text);
  }
}

const noEndpoints: PickFacts["tried"] = [];
