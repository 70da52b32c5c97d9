import assert from "node:assert/strict";
import { test } from "node:test";
import { adviceFor, type SandboxFacts } from "../../../../src/cli/world/advice.ts";

const forbidden: SandboxFacts = {
  platform: "linux",
  isRoot: false,
  missing: [],
  worksAsRoot: false,
  worksWithUserNamespace: false,
  sysctls: {
    maxUserNamespaces: 1_000,
    unprivilegedClone: undefined,
    apparmorRestricts: undefined,
  },
};

test("nothing to say where a sandbox can be had", () => {
  assert.equal(adviceFor({ ...forbidden, worksAsRoot: true, isRoot: true }), undefined);
  assert.equal(adviceFor({ ...forbidden, worksWithUserNamespace: true }), undefined);
});

const cases: readonly (readonly [string, Partial<SandboxFacts>, RegExp])[] = [
  ["another system", { platform: "darwin" }, /only on Linux, and this is darwin/],
  [
    "missing programs, for a user",
    { missing: ["nft", "ip", "unshare", "setpriv"] },
    /missing: nft, ip, unshare, setpriv; .* sudo apt-get install nftables iproute2 util-linux$/,
  ],
  ["missing programs, for root", { isRoot: true, missing: ["nft"] }, /with: apt-get install/],
  ["root without rights", { isRoot: true }, /docker run --privileged/],
  [
    "user namespaces switched off",
    { sysctls: { ...forbidden.sysctls, maxUserNamespaces: 0 } },
    /sysctl user\.max_user_namespaces=/,
  ],
  [
    "Debian's switch",
    { sysctls: { ...forbidden.sysctls, unprivilegedClone: 0 } },
    /kernel\.unprivileged_userns_clone=1/,
  ],
  [
    "Ubuntu's switch",
    { sysctls: { ...forbidden.sysctls, apparmorRestricts: 1 } },
    /apparmor_restrict_unprivileged_userns=0/,
  ],
  ["no known reason", {}, /run this as root/],
];

for (const [name, facts, expected] of cases)
  test(`what to do: ${name}`, () => {
    assert.match(adviceFor({ ...forbidden, ...facts }) ?? "", expected);
  });
