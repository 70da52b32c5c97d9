/** Who a request comes from: the part of a rule that becomes principals. */
import type { PrincipalSchema } from "../../../../shared/wire/gen/envoy/config/rbac/v3/rbac_pb.js";
import { claimValueMatcher, JWT_FILTER, JWT_PAYLOAD } from "../claims.ts";
import { PEER_PRINCIPAL } from "../filters.ts";
import type { StringMatcherInit } from "../routes/match.ts";
import { quoted } from "../routes/rewrite.ts";
import type { Init } from "../wire.ts";
import {
  addressRange,
  anything,
  bracketed,
  exactMatcher,
  headerPattern,
  prefixMatcher,
  regexMatcher,
  SPIFFE,
  suffixMatcher,
  textPattern,
} from "./patterns.ts";
import { type AuthorizationRule, anyOfValues, type When } from "./permissions.ts";
import { allOf, type Check, each, type FieldTest, type Logic, together } from "./tests.ts";
import { expandDomains, withAliases } from "./trust-domains.ts";

export type PrincipalInit = Init<typeof PrincipalSchema>;

export const principalLogic: Logic<PrincipalInit> = {
  and: (ids) => ({ identifier: { case: "andIds", value: { ids } } }),
  or: (ids) => ({ identifier: { case: "orIds", value: { ids } } }),
  not: (id) => ({ identifier: { case: "notId", value: id } }),
  any: { identifier: { case: "any", value: true } },
};

export interface PrincipalContext {
  /** Of the policy: service accounts without a namespace are of this one. */
  readonly namespace: string;
  readonly trustDomains: readonly string[];
  readonly tcp: boolean;
  readonly allows: boolean;
}

type Values = Pick<FieldTest<PrincipalInit>, "values" | "notValues">;

/** The tunnel's client, which the connection inside it knows by its state only. */
function peer(value: StringMatcherInit): PrincipalInit {
  return {
    identifier: {
      case: "filterState",
      value: { key: PEER_PRINCIPAL, matcher: { case: "stringMatch", value } },
    },
  };
}

function namespacePeer(pattern: string): PrincipalInit {
  return peer(regexMatcher(`.*/ns/${pattern.split("*").map(quoted).join(".*")}/.*`));
}

/** Any trust domain, and other pairs of the identity's path where they may stand. */
function accountPeer(value: string, own: string): PrincipalInit {
  const slash = value.indexOf("/");
  const namespace = slash < 0 ? own : value.slice(0, slash);
  const account = slash < 0 ? value : value.slice(slash + 1);
  return peer(
    regexMatcher(`spiffe://.+/ns/${quoted(namespace)}/(.+/|)sa/${quoted(account)}(/.+)?`),
  );
}

function domainPeer(value: string): PrincipalInit {
  if (value === "*") return peer(prefixMatcher(SPIFFE));
  const star = value.indexOf("*");
  if (star < 0) return peer(prefixMatcher(`${SPIFFE}${value}/`));
  const pattern = `${quoted(value.slice(0, star))}[^/]*${quoted(value.slice(star + 1))}`;
  return peer(regexMatcher(`${SPIFFE}${pattern}/.*`));
}

function claimText(name: string, value: StringMatcherInit): PrincipalInit {
  return {
    identifier: {
      case: "metadata",
      value: {
        filter: JWT_FILTER,
        path: [JWT_PAYLOAD, name].map((key) => ({ segment: { case: "key", value: key } })),
        value: { matchPattern: { case: "stringMatch", value } },
      },
    },
  };
}

/** `issuer/subject`; an issuer may hold slashes of its own. */
function tokenPrincipal(value: string): PrincipalInit {
  const [issuer, subject] = issuerAndSubject(value);
  return principalLogic.and([claimText("iss", issuer), claimText("sub", subject)]);
}

function issuerAndSubject(value: string): readonly [StringMatcherInit, StringMatcherInit] {
  if (value === "*") return [anything, anything];
  const slash = value.lastIndexOf("/");
  const found = slash >= 0;
  const issuer = found ? value.slice(0, slash) : value;
  const subject = found ? value.slice(slash + 1) : "";
  if (value.startsWith("*")) {
    if (!found) return [anything, suffixMatcher(value.slice(1))];
    return [issuer === "*" ? anything : suffixMatcher(issuer.slice(1)), exactMatcher(subject)];
  }
  if (value.endsWith("*")) {
    if (!found) return [prefixMatcher(value.slice(0, -1)), anything];
    return [exactMatcher(issuer), subject === "*" ? anything : prefixMatcher(subject.slice(0, -1))];
  }
  return [exactMatcher(issuer), exactMatcher(subject)];
}

function claims(path: readonly string[], values: readonly string[]): PrincipalInit {
  const matchers = values.map(
    (text) => ({ matchPattern: { case: "stringMatch", value: textPattern(text) } }) as const,
  );
  return {
    identifier: { case: "metadata", value: claimValueMatcher(path, anyOfValues(matchers)) },
  };
}

const HEADERS = "request.headers";
const CLAIMS = "request.auth.claims";

/** A check by the name of what it looks at, which is that of a condition. Undefined for an unknown one. */
function checkOf(
  key: string,
  { namespace, tcp }: PrincipalContext,
): Check<PrincipalInit> | undefined {
  const http = (check: Check<PrincipalInit>): Check<PrincipalInit> =>
    tcp ? each(() => undefined) : check;
  switch (key) {
    case "source.ip":
    case "remote.ip":
      return each((text) => {
        const value = addressRange(text);
        const name = key === "source.ip" ? "directRemoteIp" : "remoteIp";
        return value && { identifier: { case: name, value } };
      });
    case "source.namespace":
      return each(namespacePeer);
    case "source.serviceAccount":
      return each((value) => accountPeer(value, namespace));
    case "source.trustDomain":
      return each(domainPeer);
    case "source.principal":
      return each((value) => peer(textPattern(value, SPIFFE)));
    case "request.auth.principal":
      return http(
        together((values) => {
          const [first, ...others] = values.map(tokenPrincipal);
          return first && (others.length === 0 ? first : principalLogic.or([first, ...others]));
        }),
      );
    case "request.auth.audiences":
      return http(together((values) => claims(["aud"], values)));
    case "request.auth.presenter":
      return http(together((values) => claims(["azp"], values)));
    default:
      return bracketCheck(key, http);
  }
}

function bracketCheck(
  key: string,
  http: (check: Check<PrincipalInit>) => Check<PrincipalInit>,
): Check<PrincipalInit> | undefined {
  if (key.startsWith(HEADERS)) {
    const rest = key.slice(HEADERS.length);
    const named = rest.startsWith("[") && rest.endsWith("]");
    return http(
      each((value) =>
        named
          ? { identifier: { case: "header", value: headerPattern(rest.slice(1, -1), value) } }
          : undefined,
      ),
    );
  }
  if (key.startsWith(CLAIMS)) {
    const path = bracketed(key.slice(CLAIMS.length));
    return http(together((values) => path && claims(path, values)));
  }
  return undefined;
}

export function isAboutClient(when: When): boolean {
  return (
    checkOf(when.key, { namespace: "", trustDomains: [], tcp: false, allows: true }) !== undefined
  );
}

function testOf(
  key: string,
  { values, notValues }: Values,
  context: PrincipalContext,
): readonly FieldTest<PrincipalInit>[] {
  const check = checkOf(key, context);
  if (check === undefined) return [];
  const { trustDomains } = context;
  const resolve = (list: readonly string[]): readonly string[] => {
    if (key === "source.principal") return withAliases(list, trustDomains);
    return key === "source.trustDomain" ? expandDomains(list, trustDomains) : list;
  };
  return [{ values: resolve(values), notValues: resolve(notValues), check }];
}

type Source = NonNullable<AuthorizationRule["from"][number]["source"]>;

function fieldsOf(source: Source, context: PrincipalContext): readonly FieldTest<PrincipalInit>[] {
  const test = (
    key: string,
    values: readonly string[],
    notValues: readonly string[],
  ): readonly FieldTest<PrincipalInit>[] => testOf(key, { values, notValues }, context);
  return [
    ...test("source.principal", source.principals, source.notPrincipals),
    ...test("request.auth.principal", source.requestPrincipals, source.notRequestPrincipals),
    ...test("source.serviceAccount", source.serviceAccounts, source.notServiceAccounts),
    ...test("source.trustDomain", source.trustDomains, source.notTrustDomains),
    ...test("source.namespace", source.namespaces, source.notNamespaces),
    ...test("remote.ip", source.remoteIpBlocks, source.notRemoteIpBlocks),
    ...test("source.ip", source.ipBlocks, source.notIpBlocks),
  ];
}

/** Undefined when the rule cannot be kept on connections without requests. */
export function principalsOf(
  { from, when }: AuthorizationRule,
  context: PrincipalContext,
): PrincipalInit[] | undefined {
  const conditions = when.flatMap((one) => testOf(one.key, one, context));
  const sources = from.length === 0 ? [undefined] : from.map(({ source }) => source);
  const made: PrincipalInit[] = [];
  for (const source of sources) {
    const fields = source === undefined ? [] : fieldsOf(source, context);
    const principal = allOf([...fields, ...conditions], principalLogic, context.allows);
    if (principal === undefined) return undefined;
    made.push(principal);
  }
  return made;
}
