import type { FilterVerdict } from "../filters/filter.ts";
import { httpDate } from "../http/http-date.ts";
import { Fields, type LocalReply, type ResponseFlag, type ResponseHead } from "../http/message.ts";
import type { RequestReceiver, ResetReason } from "../http/stream.ts";
import type { Forward, Route } from "../model/route.ts";
import { chooseCluster, finalizeResponse } from "../routing/forward.ts";
import { directLocation, redirectUrl } from "../routing/redirect.ts";
import type { StreamRecord } from "../telemetry/record.ts";
import type { RecordSource, RequestTrace } from "../telemetry/request-telemetry.ts";
import { checkRequest, upgradeAllowed } from "./checks.ts";
import { Deadlines } from "./deadlines.ts";
import { EarlyBody } from "./early-body.ts";
import { RequestFacts } from "./facts.ts";
import type { RouterHost } from "./host.ts";
import { readyReply } from "./local-reply.ts";
import { httpRecord } from "./records.ts";
import { prepareRequest } from "./request-headers.ts";
import { Router } from "./router.ts";

/** "filtering": filters are asked, the body waits. "routed": it is the router's. "over": nothing more comes of it. */
type State = "filtering" | "routed" | "over";

const continueHead: ResponseHead = { status: 100, fields: new Fields() };

export class Exchange extends RequestFacts implements RequestReceiver, RouterHost, RecordSource {
  #state: State = "filtering";
  #requestEnded = false;
  #trace: RequestTrace | undefined;
  /** Filters that have seen the request: these see the answer. */
  #passed = 0;
  #early: EarlyBody | undefined;
  #deadlines: Deadlines | undefined;
  #redirects = 0;
  #answerIsWhole = false;

  start(endStream: boolean): void {
    const { chain, head, deps } = this;
    this.#requestEnded = endStream;
    if (chain.http.proxy100Continue === false) this.#answerExpect();
    prepareRequest(head, chain.http, this.downstream);
    this.#trace = deps.telemetry.start(chain, head, this.downstream);
    if (this.isGrpc) deps.telemetry.watch(chain, this);
    this.#deadlines = new Deadlines(this, chain.http);
    if (endStream) this.#arrived();
    const refusal = checkRequest(head, chain.http);
    if (refusal !== undefined) {
      this.localReply(refusal);
      return;
    }
    if ((head.upgrade !== undefined || head.method === "CONNECT") && !this.#mayUpgrade()) {
      this.localReply({ status: 403, body: "", details: "upgrade_failed", flags: [] });
      return;
    }
    this.#runFilters(0);
  }

  bufferBody(maxBytes: number): Promise<{ readonly bytes: Buffer; readonly complete: boolean }> {
    this.#early ??= new EarlyBody();
    const wanted = this.#early.want(maxBytes, this.#requestEnded);
    this.stream.resume();
    return wanted;
  }

  // RequestReceiver

  body(bytes: Buffer, start: number, end: number): boolean {
    if (this.#state === "over") return true;
    this.bytesReceived += end - start;
    this.requestMessages?.body(bytes, start, end);
    this.#deadlines?.touch();
    if (this.router !== undefined) return this.router.body(bytes, start, end);
    this.#early ??= new EarlyBody();
    return this.#early.add(bytes, start, end);
  }

  end(trailers: Fields | undefined): void {
    if (this.#state === "over") return;
    this.#requestEnded = true;
    this.#arrived();
    if (this.router !== undefined) {
      this.router.end(trailers);
      return;
    }
    this.#early ??= new EarlyBody();
    this.#early.end(trailers);
  }

  reset(reason: ResetReason): void {
    if (this.#state === "over") return;
    this.router?.stop("client gone");
    if (reason.kind === "protocol-error" && this.status === 0) {
      const reply = { status: 400, body: "Bad Request", details: reason.detail };
      this.localReply({ ...reply, flags: ["DPE"] });
      return;
    }
    this.#noteReset(reason);
    this.stream.reset({ kind: "local", detail: "client gone" });
    this.#finish();
  }

  writable(): void {
    this.router?.writable();
  }

  // Deadlines.

  /** Of the listener, not of the route: the request or its answer takes too long. */
  timedOut(body: string, details: string, flag: ResponseFlag | undefined): void {
    if (this.#state === "over") return;
    this.router?.stop("timeout");
    const flags = flag === undefined ? [] : [flag];
    if (this.status === 0)
      this.localReply({ status: this.#requestEnded ? 504 : 408, body, details, flags });
    else this.breakOff(flag, details);
  }

  // RouterHost

  get traceId(): string | undefined {
    return this.#trace?.traceId;
  }

  injectTrace(): void {
    if (this.#trace !== undefined) this.deps.telemetry.injectUpstream(this.#trace, this.head);
  }

  interim(head: ResponseHead): void {
    this.#deadlines?.touch();
    this.stream.interim(head);
  }

  answer(head: ResponseHead, endStream: boolean): void {
    this.#deadlines?.touch();
    this.#sendHead(head, endStream);
  }

  answerBody(bytes: Buffer, start: number, end: number): boolean {
    this.bytesSent += end - start;
    this.responseMessages?.body(bytes, start, end);
    this.#deadlines?.touch();
    return this.stream.body(bytes, start, end);
  }

  answerEnd(trailers: Fields | undefined): void {
    this.trailers = trailers;
    this.#answerIsWhole = true;
    this.stream.end(trailers);
  }

  answered(details: string): void {
    this.details ??= details;
    this.#finish();
  }

  localReply(reply: LocalReply, fields = new Fields()): void {
    if (this.#state === "over") return;
    if (this.status !== 0) {
      this.breakOff(reply.flags[0], reply.details);
      return;
    }
    for (const flag of reply.flags) this.addFlag(flag);
    this.details = reply.details;
    const { head, body } = readyReply(reply, fields, this.isGrpc, this.head.method === "HEAD");
    this.#sendHead(head, body === undefined);
    if (body !== undefined) {
      this.bytesSent += body.length;
      this.stream.body(body, 0, body.length);
      this.#answerIsWhole = true;
      this.stream.end(undefined);
    }
    this.#finish();
  }

  breakOff(flag: ResponseFlag | undefined, details: string): void {
    if (flag !== undefined) this.addFlag(flag);
    this.details = details;
    this.stream.reset({ kind: "local", detail: details });
    this.#finish();
  }

  resumeRequest(): void {
    this.stream.resume();
  }

  redirects(head: ResponseHead, forward: Forward): boolean {
    const redirect = forward.internalRedirect;
    const location = head.fields.get("location");
    if (redirect === undefined || location === undefined) return false;
    if (!redirect.statuses.includes(head.status) || this.#redirects >= redirect.maxRedirects)
      return false;
    // What has gone upstream is not kept for a second place.
    if (!this.#requestEnded || this.bytesReceived > 0) return false;
    const target = /^(https?):\/\/([^/?#]+)([^#]*)/.exec(location);
    const [, scheme, authority, path] = target ?? [];
    if (scheme === undefined || authority === undefined || path === undefined) return false;
    if (scheme !== this.head.scheme && !redirect.allowCrossScheme) return false;
    this.#redirects++;
    this.#goTo(head.status, scheme, authority, path.startsWith("/") ? path : `/${path}`);
    return true;
  }

  protected routeChosen(route: Route | undefined): void {
    this.#deadlines?.routeKnown(route);
  }

  // RecordSource

  record(): StreamRecord {
    const durationMs = this.sinceStartMs();
    // An answer is over with its last octet, and so is its request.
    if (this.#answerIsWhole) this.moments.responseLastSentMs = durationMs;
    return httpRecord(this, durationMs, this.router?.upstreamRecord());
  }

  // Within.

  #arrived(): void {
    this.#deadlines?.requestEnded();
    this.moments.requestEndMs = this.sinceStartMs();
  }

  #answerExpect(): void {
    const { fields } = this.head;
    if (fields.get("expect")?.toLowerCase() !== "100-continue") return;
    fields.remove("expect");
    if (!this.#requestEnded) this.stream.interim(continueHead);
  }

  #mayUpgrade(): boolean {
    const { route } = this;
    // Nobody takes the CONNECT: that is said as for any other request.
    if (route === undefined && this.head.method === "CONNECT") return true;
    const forward = route?.action.kind === "forward" ? route.action.forward : undefined;
    return upgradeAllowed(this.head, this.chain.http, forward);
  }

  #runFilters(first: number): void {
    const { filters } = this.chain;
    for (let at = first; at < filters.length; at++) {
      const filter = filters[at];
      if (filter?.onRequest === undefined) continue;
      this.#passed = at;
      let verdict: FilterVerdict | Promise<FilterVerdict>;
      try {
        verdict = filter.onRequest(this, this.#requestEnded);
      } catch (thrown) {
        this.#filterBroke(filter.name, thrown);
        return;
      }
      if (verdict instanceof Promise) {
        verdict.then(
          (late) => this.#afterFilter(late, at),
          (thrown: unknown) => this.#filterBroke(filter.name, thrown),
        );
        return;
      }
      if (verdict.kind === "reply") {
        this.localReply(verdict.reply);
        return;
      }
    }
    this.#passed = filters.length;
    this.#toRoute();
  }

  #afterFilter(verdict: FilterVerdict, at: number): void {
    if (this.#state !== "filtering") return;
    if (verdict.kind === "reply") this.localReply(verdict.reply);
    else this.#runFilters(at + 1);
  }

  /** A mistake of ours. What could not be judged does not pass. */
  #filterBroke(name: string, thrown: unknown): void {
    if (this.#state !== "filtering") return;
    const reason = thrown instanceof Error ? thrown.message : String(thrown);
    this.note({ filter: name, outcome: "failed", reason });
    this.localReply({ status: 500, body: "", details: "filter_failed", flags: [] });
  }

  #toRoute(): void {
    const { route, head } = this;
    if (route === undefined || route.action.kind === "none") {
      this.localReply({ status: 404, body: "", details: "route_not_found", flags: ["NR"] });
      return;
    }
    const { action } = route;
    if (action.kind === "forward") {
      this.#forward(route, action.forward);
      return;
    }
    const { status } = action.kind === "direct" ? action : action.redirect;
    const location =
      action.kind === "direct"
        ? directLocation(status, head)
        : redirectUrl(action.redirect, route.path, head);
    const fields = new Fields();
    if (location !== undefined) fields.append("location", location);
    // What a route answers itself is changed as an application's answer is.
    finalizeResponse(route, undefined, { status, fields }, this);
    const body = action.kind === "direct" ? action.body : "";
    this.localReply({ status, body, details: "direct_response", flags: [] }, fields);
  }

  #forward(route: Route, forward: Forward): void {
    const chosen = chooseCluster(forward.clusters, this.head, this.random());
    const cluster = this.clusters.get(chosen.cluster);
    if (cluster === undefined) {
      const status = forward.clusterNotFoundStatus;
      this.localReply({ status, body: "", details: "cluster_not_found", flags: ["NC"] });
      return;
    }
    this.#state = "routed";
    const early = this.#early;
    this.#early = undefined;
    const router = new Router(this, { route, forward, weighted: chosen.weighted, cluster });
    this.router = router;
    const whole = this.#requestEnded && (early === undefined || early.isEmpty);
    router.start(whole);
    if (whole || this.#isOver()) return;
    const ready = early?.giveTo(router) ?? true;
    if (this.#requestEnded && !this.#isOver()) router.end(early?.trailers);
    else if (ready && early !== undefined) this.stream.resume();
  }

  #goTo(status: number, scheme: string, authority: string, path: string): void {
    const { head } = this;
    head.fields.set("x-envoy-original-url", `${head.scheme}://${head.authority}${head.path}`);
    if (status === 303 && head.method !== "HEAD") head.method = "GET";
    head.scheme = scheme;
    head.authority = authority;
    head.path = path;
    this.router = undefined;
    this.#state = "filtering";
    this.response = undefined;
    this.clearRoute();
    // After the present router has let go of its attempt.
    queueMicrotask(() => this.#runFilters(0));
  }

  #sendHead(head: ResponseHead, endStream: boolean): void {
    this.response = head;
    const { chain, clock } = this;
    const { filters } = chain;
    for (let at = this.#passed - 1; at >= 0; at--) filters[at]?.onResponse?.(this, head);
    const { fields } = head;
    const { serverHeader, serverName } = chain.http;
    if (!fields.has("date")) fields.append("date", httpDate(clock));
    if (serverHeader === "overwrite") fields.set("server", serverName);
    else if (serverHeader === "append-if-absent" && !fields.has("server"))
      fields.append("server", serverName);
    this.deps.telemetry.answer(chain, this.head, head, this.#trace, this.operation);
    this.status = head.status;
    this.moments.responseFirstSentMs = this.sinceStartMs();
    this.#answerIsWhole = endStream;
    this.stream.head(head, endStream);
  }

  #noteReset(reason: ResetReason): void {
    if (reason.kind === "remote-reset" || reason.kind === "refused") {
      this.addFlag("DR");
      this.details ??= "http2.remote_reset";
    } else {
      this.addFlag(reason.kind === "protocol-error" ? "DPE" : "DC");
      this.details ??=
        reason.kind === "protocol-error" ? reason.detail : "downstream_remote_disconnect";
    }
  }

  #finish(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#deadlines?.stop();
    this.#early?.abandon();
    this.#early = undefined;
    this.endContext();
    const { chain, deps } = this;
    const source = this.isGrpc ? this : undefined;
    deps.telemetry.finish(chain, this.record(), this.#trace, source);
  }

  #isOver(): boolean {
    return this.#state === "over";
  }
}
