/** The same for connections: only gRPC servers, and only yes or no. */
import type { MetadataMatcher } from "../../model/matchers.ts";
import { matchesMetadata } from "../../routing/match.ts";
import type { ConnectionContext, ConnectionVerdict, NetworkFilter } from "../filter.ts";
import type { UpstreamCalls } from "../upstream-calls.ts";
import { askGrpc } from "./ask.ts";
import { connectionCheck } from "./check-request.ts";
import type { AuthzService } from "./config.ts";

export interface NetworkAuthzConfig {
  readonly service: Extract<AuthzService, { readonly kind: "grpc" }>;
  readonly failureModeAllow: boolean;
  readonly enabledByMetadata: MetadataMatcher | undefined;
  readonly includeTlsSession: boolean;
}

const continueConnection: ConnectionVerdict = { kind: "continue" };

export class NetworkAuthzFilter implements NetworkFilter {
  readonly name: string;
  readonly clusters: readonly string[];
  readonly #config: NetworkAuthzConfig;
  readonly #calls: UpstreamCalls;

  constructor(name: string, config: NetworkAuthzConfig, calls: UpstreamCalls) {
    this.name = name;
    this.clusters = [config.service.cluster];
    this.#config = config;
    this.#calls = calls;
  }

  onConnection(context: ConnectionContext): ConnectionVerdict | Promise<ConnectionVerdict> {
    const { enabledByMetadata } = this.#config;
    const asked =
      enabledByMetadata === undefined || matchesMetadata(enabledByMetadata, context.metadata);
    return asked ? this.#ask(context) : continueConnection;
  }

  async #ask(context: ConnectionContext): Promise<ConnectionVerdict> {
    const { service, failureModeAllow, includeTlsSession } = this.#config;
    const message = connectionCheck(context, includeTlsSession);
    const answer = await askGrpc(service, this.#calls, message, context.over);
    const note = (outcome: string, reason: string): void =>
      context.note({ filter: this.name, outcome, reason });
    switch (answer.kind) {
      case "ok":
        if (answer.changes.metadata !== undefined)
          context.setMetadata("envoy.filters.network.ext_authz", answer.changes.metadata);
        note("allowed", `${service.cluster} allows it`);
        return continueConnection;
      case "denied":
        note("denied", `${service.cluster} denies it`);
        return { kind: "close", flags: ["UAEX"], details: "ext_authz_denied" };
      case "error":
        if (failureModeAllow) {
          note("failed-open", `${service.cluster} failed (${answer.reason}); failures allow`);
          return continueConnection;
        }
        note("denied", `${service.cluster} failed: ${answer.reason}`);
        return { kind: "close", flags: ["UAEX"], details: "ext_authz_error" };
    }
  }
}
