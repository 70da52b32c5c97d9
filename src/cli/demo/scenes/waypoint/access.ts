/** Who may ask for what: methods, and tokens. */
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import type { Scene } from "../../scene.ts";
import { expect } from "../../stage.ts";
import { refusingPolicy } from "../../waypoint-log.ts";
import { ask, attempt, principal, untilLogged, untilReply, withObjects } from "./helpers.ts";
import { requestAuthentication, servicePolicy } from "./objects.ts";

export const methodPolicy: Scene = {
  name: "method-policy",
  title: "GET is allowed and DELETE is denied for one identity",
  play: (stage) => {
    const policy = servicePolicy("no-delete", "catalog", {
      action: "DENY",
      rules: [
        {
          from: [{ source: { principals: [principal("web")] } }],
          to: [{ operation: { methods: ["DELETE"] } }],
        },
      ],
    });
    return withObjects(stage, [policy], async () => {
      const spec = { method: "DELETE", path: "/item/7" };
      await untilReply(stage, "DELETE is not denied", ({ status }) => status === 403, spec);
      const mark = stage.waypoints.record.mark();
      const denied = await ask(stage, spec);
      const allowed = await ask(stage, { path: "/item/7" });
      const other = await ask(stage, spec, "orders");
      expect(denied.status === 403, `web's DELETE was answered with ${denied.status}`);
      expect(allowed.status === 200, `web's GET was answered with ${allowed.status}`);
      expect(other.status === 200, `orders' DELETE was answered with ${other.status}`);
      expect(other.greeting?.method === "DELETE", "another method arrived");
      const entry = await untilLogged(stage, mark, "denial", ({ status }) => status === 403);
      const named = refusingPolicy(entry);
      expect(named === "shop/no-delete rule 0", `the log says ${entry.details}`);
      return `web: GET 200, DELETE 403 "${denied.body}" by ${named}; orders: DELETE 200`;
    });
  },
};

const ISSUER = "https://issuer.shop.example";

export const tokenRequired: Scene = {
  name: "token-required",
  title: "Without a good token nobody is served",
  play: async (stage) => {
    const keys = await generateKeyPair("ES256", { extractable: true });
    const stranger = await generateKeyPair("ES256");
    const jwk = { ...(await exportJWK(keys.publicKey)), kid: "scene", alg: "ES256", use: "sig" };
    const sign = (key: CryptoKey, issuer: string, expires: string): Promise<string> =>
      new SignJWT({ role: "buyer" })
        .setProtectedHeader({ alg: "ES256", kid: "scene" })
        .setIssuer(issuer)
        .setSubject("ann")
        .setIssuedAt()
        .setExpirationTime(expires)
        .sign(key);
    const good = await sign(keys.privateKey, ISSUER, "5 minutes");
    const bad: Readonly<Record<string, string>> = {
      "a stranger's": await sign(stranger.privateKey, ISSUER, "5 minutes"),
      expired: await sign(keys.privateKey, ISSUER, "10 minutes ago"),
      "another issuer's": await sign(keys.privateKey, "https://elsewhere.example", "5 minutes"),
      garbled: `${good.slice(0, -4)}AAAA`,
    };
    const objects = [
      requestAuthentication("catalog", [{ issuer: ISSUER, jwks: JSON.stringify({ keys: [jwk] }) }]),
      servicePolicy("token-required", "catalog", {
        action: "ALLOW",
        rules: [
          {
            from: [{ source: { requestPrincipals: [`${ISSUER}/ann`] } }],
            when: [{ key: "request.auth.claims[role]", values: ["buyer"] }],
          },
        ],
      }),
    ];
    return withObjects(stage, objects, async () => {
      await untilReply(stage, "no token is needed", ({ status }) => status === 403);
      const bearing = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
      const accepted = await attempt(stage, bearing(good));
      expect(accepted.status === 200, `the good token got ${accepted.status}: ${accepted.body}`);
      const refused: string[] = [];
      for (const [name, token] of Object.entries(bad)) {
        const { status, body } = await ask(stage, bearing(token));
        expect(status === 401, `${name} token got ${status}`);
        refused.push(`${name}: ${body}`);
      }
      return `good token 200, none 403; 401 for ${refused.join("; ")}`;
    });
  },
};
