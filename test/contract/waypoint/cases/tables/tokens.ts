import { createHmac } from "node:crypto";
import {
  asks,
  type CaseTable,
  notes,
  ordinary,
  reviews,
} from "../../../../support/waypoint/cases/looks.ts";

const coded = (value: unknown): string =>
  Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64url");

const key = Buffer.from("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "base64");

function token(
  claims: Readonly<Record<string, unknown>> = {},
  { secret = key, header = {} }: { readonly secret?: Buffer; readonly header?: object } = {},
): string {
  const head = coded({ alg: "HS256", typ: "JWT", kid: "1", ...header });
  const body = coded({
    iss: "https://issuer.example",
    sub: "anna",
    aud: "shop",
    exp: Math.floor(Date.now() / 1000) + 600,
    groups: ["users", "admin"],
    realm: { role: "x" },
    ...claims,
  });
  const signature = createHmac("sha256", secret).update(`${head}.${body}`).digest("base64url");
  return `${head}.${body}.${signature}`;
}

const to = "reviews:80";
const bearer = (text: string) => ({ authorization: `Bearer ${text}` });
const refused = (body: string | RegExp) => ({
  status: 401,
  pod: null,
  body,
  headers: { "www-authenticate": /^Bearer realm="http:\/\/reviews\.shop\// },
});
const denied = { status: 403, pod: null, body: "RBAC: access denied" };
const past = Math.floor(Date.now() / 1000) - 3600;

export const tokens: CaseTable = {
  golden: "l7-jwt",
  looks: [
    notes(
      "why a token is no good",
      { to: "reviews:80", headers: bearer(token({ exp: past })) },
      {
        status: 401,
        details: "jwt_authn_access_denied{Jwt_is_expired}",
      },
    ),
    ...ordinary("ratings", "metrics", "db"),
    asks("without a token nobody is known, and the policy denies", { to }, denied),
    asks(
      "a good token: payload and claim in headers, the token is passed on",
      { to, headers: bearer(token()) },
      {
        status: 200,
        pod: reviews,
        seen: { "x-sub": "anna", "x-jwt": /^ey[\w-]+$/, authorization: /^Bearer ey/ },
      },
    ),
    asks(
      "in another header",
      { to, headers: { "x-token": token() } },
      { status: 200, pod: reviews },
    ),
    asks("in a parameter", { to, path: `/?token=${token()}` }, { status: 200, pod: reviews }),
    asks(
      "a client cannot say what a claim says",
      { to, headers: { ...bearer(token()), "x-sub": "root" } },
      { status: 200, seen: { "x-sub": "anna" } },
    ),
    asks(
      "another secret",
      { to, headers: bearer(token({}, { secret: Buffer.from("another") })) },
      refused("Jwt verification fails"),
    ),
    asks("too old", { to, headers: bearer(token({ exp: past })) }, refused("Jwt is expired")),
    asks(
      "another issuer",
      { to, headers: bearer(token({ iss: "https://other.example" })) },
      refused("Jwt issuer is not configured"),
    ),
    asks(
      "for others",
      { to, headers: bearer(token({ aud: "elsewhere" })) },
      { status: 403, pod: null, body: "Audiences in Jwt are not allowed" },
    ),
    asks(
      "no signature at all",
      { to, headers: bearer(`${coded({ alg: "none" })}.${coded({ sub: "anna" })}.`) },
      { status: 401, pod: null },
    ),
    asks("no token in the field", { to, headers: bearer("nonsense") }, { status: 401, pod: null }),
    asks(
      "a good token beside a bad one",
      { to, headers: { ...bearer(token()), "x-token": "bad.bad.bad" } },
      { status: 401, pod: null },
    ),
    asks("another group", { to, headers: bearer(token({ groups: ["users"] })) }, denied),
    asks(
      "a group by its prefix",
      { to, headers: bearer(token({ groups: ["ops-1"] })) },
      { status: 200, pod: reviews },
    ),
    asks("another role", { to, headers: bearer(token({ realm: { role: "y" } })) }, denied),
    asks("a presenter that is excepted", { to, headers: bearer(token({ azp: "p" })) }, denied),
    asks(
      "the other audience is not the policy's",
      { to, headers: bearer(token({ aud: "api" })) },
      denied,
    ),
    asks(
      "one of several audiences",
      { to, headers: bearer(token({ aud: ["api", "shop"] })) },
      { status: 200, pod: reviews },
    ),
  ],
};
