/** ext_authz as plain data (wire/waypoint.md section 6.3). */
import type { Fraction, MetadataMatcher, StringMatcher } from "../../model/matchers.ts";

export interface ExtAuthzConfig {
  readonly service: AuthzService;
  /** All that is not an answer of the server lets the request pass. */
  readonly failureModeAllow: boolean;
  readonly failureModeAllowHeader: boolean;
  readonly statusOnError: number;
  readonly body: BodySettings | undefined;
  readonly clearRouteCache: boolean;
  /** Undefined: always. */
  readonly enabled: Fraction | undefined;
  readonly enabledByMetadata: MetadataMatcher | undefined;
  /** Dynamic metadata that the server gets to see. */
  readonly metadataNamespaces: readonly string[];
  readonly includeTlsSession: boolean;
  /** Undefined: all headers go to a gRPC server, Envoy's fixed few to an HTTP server. */
  readonly allowedHeaders: readonly StringMatcher[] | undefined;
  readonly disallowedHeaders: readonly StringMatcher[];
}

export type AuthzService =
  | {
      readonly kind: "grpc";
      readonly cluster: string;
      readonly authority: string;
      readonly timeoutMs: number;
      readonly metadata: readonly (readonly [name: string, value: string])[];
    }
  | {
      readonly kind: "http";
      readonly cluster: string;
      readonly timeoutMs: number;
      readonly pathPrefix: string;
      readonly headersToAdd: readonly (readonly [name: string, value: string])[];
      readonly answer: HttpAnswerRules;
    };

/** Which headers of the server's answer go where. */
export interface HttpAnswerRules {
  readonly toUpstream: readonly StringMatcher[];
  readonly toUpstreamAppend: readonly StringMatcher[];
  /** Undefined: all but framing and :status, when access is denied. */
  readonly toClient: readonly StringMatcher[] | undefined;
  readonly toClientOnSuccess: readonly StringMatcher[];
  readonly toMetadata: readonly StringMatcher[];
}

export interface BodySettings {
  readonly maxBytes: number;
  readonly allowPartial: boolean;
  readonly asBytes: boolean;
}
