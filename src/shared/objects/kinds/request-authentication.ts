/** RequestAuthentication: which tokens are accepted, and where they are found. */
import {
  boolean,
  defaulted,
  type Infer,
  list,
  object,
  oneOf,
  optional,
  required,
  string,
} from "../schema.ts";
import { condition } from "./core.ts";
import { targetRef, workloadSelector } from "./istio.ts";
import { duration } from "./scalars.ts";

const strings = list(string);

const jwtRule = object({
  issuer: defaulted(string, ""),
  audiences: defaulted(strings, []),
  jwksUri: defaulted(string, ""),
  jwks_uri: optional(string),
  presence: optional(oneOf("OPTIONAL", "REQUIRED")),
  jwks: defaulted(string, ""),
  fromHeaders: defaulted(
    list(object({ name: required(string), prefix: defaulted(string, "") })),
    [],
  ),
  fromParams: defaulted(strings, []),
  fromCookies: defaulted(strings, []),
  outputPayloadToHeader: defaulted(string, ""),
  forwardOriginalToken: defaulted(boolean, false),
  outputClaimToHeaders: defaulted(
    list(object({ header: required(string), claim: required(string) })),
    [],
  ),
  spaceDelimitedClaims: defaulted(strings, []),
  timeout: optional(duration),
});

const requestAuthenticationSpec = object({
  selector: optional(workloadSelector),
  targetRef: optional(targetRef),
  targetRefs: defaulted(list(targetRef), []),
  jwtRules: defaulted(list(jwtRule), []),
});

export const requestAuthenticationBody = object({
  spec: defaulted(requestAuthenticationSpec, { targetRefs: [], jwtRules: [] }),
  status: optional(object({ conditions: defaulted(list(condition), []) }, { open: true })),
});

export type JwtRuleSpec = Infer<typeof jwtRule>;
