/** Rules about RequestAuthentications that a type alone does not state. */
import type { Checker } from "./checks.ts";
import { keySetFault } from "./key-set.ts";
import type { JwtRuleSpec } from "./kinds/request-authentication.ts";
import type { ObjectOf } from "./kinds.ts";

export function checkRequestAuthentication(
  { spec }: ObjectOf<"RequestAuthentication">,
  checker: Checker,
): void {
  const at = checker.at("spec");
  if (spec.selector !== undefined && (spec.targetRef !== undefined || spec.targetRefs.length > 0))
    at.refuse("cannot stand beside targetRef or targetRefs", "selector");
  spec.jwtRules.forEach((rule, index) => {
    checkRule(rule, at.at("jwtRules", index));
  });
}

function checkRule(rule: JwtRuleSpec, at: Checker): void {
  if (rule.issuer === "") at.refuse("needs an issuer", "issuer");
  const uri = rule.jwksUri || (rule.jwks_uri ?? "");
  if (uri !== "" && rule.jwks !== "") at.refuse("takes only one of jwks and jwksUri");
  if (uri !== "" && !isWebAddress(uri))
    at.refuse(`${JSON.stringify(uri)} is not an address of http or https`, "jwksUri");
  const fault = rule.jwks === "" ? undefined : keySetFault(rule.jwks);
  if (fault !== undefined) at.refuse(`is not a set of keys: ${fault}`, "jwks");
  rule.audiences.forEach((audience, index) => {
    if (audience === "") at.refuse("must not be empty", "audiences", index);
  });
  rule.fromHeaders.forEach(({ name }, index) => {
    at.headerName(name, "fromHeaders", index, "name");
  });
  for (const field of ["fromParams", "fromCookies"] as const)
    rule[field].forEach((name, index) => {
      if (name === "") at.refuse("must not be empty", field, index);
    });
  rule.outputClaimToHeaders.forEach(({ header, claim }, index) => {
    at.headerName(header, "outputClaimToHeaders", index, "header");
    if (claim === "") at.refuse("needs a claim", "outputClaimToHeaders", index, "claim");
  });
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}
