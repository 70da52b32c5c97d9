/** A provider of jwt_authn: issuer, keys, where its tokens stand and what they leave behind. */
import type { DataSource } from "../../../shared/wire/gen/envoy/config/core/v3/base_pb.js";
import {
  JwksAsyncFetchSchema,
  JwtClaimToHeaderSchema,
  JwtHeaderSchema,
  JwtProvider_NormalizePayloadSchema,
  type JwtProvider as JwtProviderMessage,
  JwtProviderSchema,
  type RemoteJwks,
  RemoteJwksSchema,
} from "../../../shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { bareAudience } from "../../filters/jwt/check.ts";
import type { JwtLocations, JwtProvider } from "../../filters/jwt/config.ts";
import type { KeySource } from "../../filters/jwt/key-source.ts";
import { parseKeys, VerificationKeys } from "../../filters/jwt/keys.ts";
import { milliseconds, positiveMs } from "../cluster-values.ts";
import { compileStringMatcher } from "../matchers.ts";
import { at, CompileError, checkFields, item, type Notes, type Path } from "../notes.ts";
import { compileHttpUri } from "./services.ts";

const DEFAULT_CLOCK_SKEW_S = 60;
const DEFAULT_CACHE_MS = 600_000;
const DEFAULT_FAILED_REFETCH_MS = 1_000;
/** Shorter would mean a fetch for each request. */
const MIN_CACHE_MS = 1_000;

const fields = {
  used: [
    "issuer",
    "audiences",
    "subjects",
    "require_expiration",
    "max_lifetime",
    "remote_jwks",
    "local_jwks",
    "forward",
    "from_headers",
    "from_params",
    "from_cookies",
    "forward_payload_header",
    "pad_forward_payload_header",
    "payload_in_metadata",
    "normalize_payload_in_metadata",
    "header_in_metadata",
    "failed_status_in_metadata",
    "clock_skew_seconds",
    "claim_to_headers",
    "clear_route_cache",
  ],
  // How many tokens are remembered: ours has bounds of its own.
  decorative: ["jwt_cache_config"],
};

export function compileProvider(
  name: string,
  message: JwtProviderMessage,
  path: Path,
  notes: Notes,
): JwtProvider {
  checkFields(message, JwtProviderSchema, path, notes, fields);
  const { subjects, maxLifetime, clockSkewSeconds } = message;
  const normalize = message.normalizePayloadInMetadata;
  if (normalize !== undefined)
    checkFields(
      normalize,
      JwtProvider_NormalizePayloadSchema,
      at(path, "normalize_payload_in_metadata"),
      notes,
      { used: ["space_delimited_claims"] },
    );
  return {
    name,
    issuer: message.issuer,
    audiences: message.audiences.map(bareAudience),
    subjects: subjects && compileStringMatcher(subjects, at(path, "subjects"), notes),
    requireExpiration: message.requireExpiration,
    maxLifetimeS: maxLifetime && milliseconds(maxLifetime, 0) / 1000,
    clockSkewS: clockSkewSeconds > 0 ? clockSkewSeconds : DEFAULT_CLOCK_SKEW_S,
    keys: compileKeys(message, path, notes),
    locations: compileLocations(message, path, notes),
    forward: message.forward,
    forwardPayloadHeader: message.forwardPayloadHeader.toLowerCase(),
    padForwardPayload: message.padForwardPayloadHeader,
    payloadInMetadata: message.payloadInMetadata,
    headerInMetadata: message.headerInMetadata,
    failedStatusInMetadata: message.failedStatusInMetadata,
    spaceDelimitedClaims: normalize?.spaceDelimitedClaims ?? [],
    claimToHeaders: message.claimToHeaders.map((each, index) => {
      const where = item(path, "claim_to_headers", index);
      checkFields(each, JwtClaimToHeaderSchema, where, notes, {
        used: ["header_name", "claim_name"],
      });
      if (each.headerName === "") throw new CompileError(at(where, "header_name"), "is empty");
      if (each.claimName === "") throw new CompileError(at(where, "claim_name"), "is empty");
      return { header: each.headerName.toLowerCase(), claim: each.claimName.split(".") };
    }),
    clearRouteCache: message.clearRouteCache,
  };
}

function compileLocations(message: JwtProviderMessage, path: Path, notes: Notes): JwtLocations {
  return {
    headers: message.fromHeaders.map((header, index) => {
      const where = item(path, "from_headers", index);
      checkFields(header, JwtHeaderSchema, where, notes, { used: ["name", "value_prefix"] });
      if (header.name === "") throw new CompileError(at(where, "name"), "is empty");
      return { name: header.name.toLowerCase(), valuePrefix: header.valuePrefix };
    }),
    params: message.fromParams,
    cookies: message.fromCookies,
  };
}

function compileKeys(message: JwtProviderMessage, path: Path, notes: Notes): KeySource {
  const { jwksSourceSpecifier: source } = message;
  switch (source.case) {
    case "localJwks":
      return localKeys(source.value, at(path, "local_jwks"), notes);
    case "remoteJwks":
      return remoteKeys(source.value, at(path, "remote_jwks"), notes);
    default:
      throw new CompileError(path, "has neither local_jwks nor remote_jwks");
  }
}

function localKeys({ specifier }: DataSource, path: Path, notes: Notes): KeySource {
  if (specifier.case !== "inlineString" && specifier.case !== "inlineBytes")
    throw new CompileError(path, "is not inline");
  const text =
    specifier.case === "inlineString"
      ? specifier.value
      : Buffer.from(specifier.value).toString("utf8");
  // No set at all is taken by Envoy, unlike one without a usable key: then no token is good.
  if (text === "") return { kind: "local", keys: new VerificationKeys([]) };
  const parsed = parseKeys(text);
  if (parsed.kind === "invalid") throw new CompileError(path, parsed.reason);
  for (const skipped of parsed.skipped) notes.decorates(path, `${skipped}; it verifies nothing`);
  return { kind: "local", keys: parsed.keys };
}

function remoteKeys(message: RemoteJwks, path: Path, notes: Notes): KeySource {
  checkFields(message, RemoteJwksSchema, path, notes, {
    used: ["http_uri", "cache_duration", "async_fetch", "retry_policy"],
  });
  const { cluster, uri, timeoutMs } = compileHttpUri(message.httpUri, at(path, "http_uri"), notes);
  const { asyncFetch, cacheDuration, retryPolicy } = message;
  const fetchPath = at(path, "async_fetch");
  if (asyncFetch !== undefined)
    checkFields(asyncFetch, JwksAsyncFetchSchema, fetchPath, notes, {
      used: ["failed_refetch_duration"],
      // The listener does not wait for keys here in either case; requests do.
      decorative: ["fast_listener"],
    });
  const cacheMs = positiveMs(cacheDuration, DEFAULT_CACHE_MS, at(path, "cache_duration"));
  return {
    kind: "remote",
    spec: {
      cluster,
      uri,
      timeoutMs,
      cacheMs: Math.max(cacheMs, MIN_CACHE_MS),
      prefetch: asyncFetch && {
        failedRefetchMs: positiveMs(
          asyncFetch.failedRefetchDuration,
          DEFAULT_FAILED_REFETCH_MS,
          at(fetchPath, "failed_refetch_duration"),
        ),
      },
      retries: retryPolicy === undefined ? 0 : (retryPolicy.numRetries ?? 1),
    },
  };
}
