/**
 * Wycheproof's vectors for signed tokens and their keys. No package registry has them: WYCHEPROOF_DIR names a folder with
 * json_web_signature_test.json and json_web_key_test.json of github.com/C2SP/wycheproof (testvectors_v1).
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { suite, test } from "node:test";
import { parseKeys } from "../../../../src/waypoint/filters/jwt/keys.ts";
import { parseSigned } from "../../../../src/waypoint/filters/jwt/token.ts";
import { cacheDir } from "../../../support/cache.ts";

const folder = process.env["WYCHEPROOF_DIR"] || join(cacheDir, "wycheproof");
const skip = existsSync(join(folder, "json_web_signature_test.json"))
  ? false
  : `no json_web_signature_test.json in ${folder}, and WYCHEPROOF_DIR names no other folder`;

interface Vectors {
  readonly testGroups: readonly {
    readonly comment: string;
    readonly public?: object;
    readonly private?: object;
    readonly tests: readonly {
      readonly tcId: number;
      readonly comment: string;
      readonly jws: string | object;
      readonly result: "valid" | "invalid" | "acceptable";
    }[];
  }[];
}

function vectors(name: string): Vectors {
  return JSON.parse(readFileSync(join(folder, name), "utf8")) as Vectors;
}

async function accepts(key: object, jws: string | object): Promise<boolean> {
  const list = "keys" in key ? key : { keys: [key] };
  const keys = parseKeys(JSON.stringify(list));
  const signed = typeof jws === "string" ? parseSigned(jws) : undefined;
  if (keys.kind === "invalid" || signed === undefined) return false;
  return (await keys.keys.check(signed)) === "OK";
}

/** Where we knowingly say otherwise, and why. */
const otherwise: readonly { readonly name: RegExp; readonly why: string }[] = [
  { name: /: emptyPayload: /, why: "a token without claims is no JWT" },
  { name: /rfc7520.*Figure20/, why: "the key says PS256 and the token PS384" },
  { name: /rfc7520.*Figure27/, why: "the key says ES521, which is no algorithm" },
  { name: /InvalidCharacterInserted/, why: "characters outside of base64url are refused" },
  {
    name: /invalidBase64Padding/,
    why: "the vectors lost their padding: the same text is valid elsewhere",
  },
  { name: /jws_mixedSymmetryKeyset/, why: "each key verifies its own algorithms only" },
  { name: /jws_duplicate_kid/, why: "the reference tries all keys of an id" },
  { name: /rsa_roca_key/, why: "weak keys are not looked for" },
  { name: /key_too_short/, why: "the reference takes short secrets, and recorded cases have one" },
];

suite("Wycheproof's JOSE vectors", { skip }, () => {
  for (const name of ["json_web_signature_test.json", "json_web_key_test.json"])
    test(name, async () => {
      let checked = 0;
      const wrong: string[] = [];
      for (const group of vectors(name).testGroups)
        for (const { tcId, comment, jws, result } of group.tests) {
          const accepted = await accepts(group.public ?? group.private ?? {}, jws);
          checked++;
          const what = `${tcId} ${group.comment}: ${comment}: ${result}, accepted: ${accepted}`;
          const known = otherwise.some((each) => each.name.test(what));
          if (accepted !== (result === "valid") && !known) wrong.push(what);
        }
      assert.deepEqual(wrong, []);
      assert.ok(checked > 5, `${checked} vectors`);
    });
});
