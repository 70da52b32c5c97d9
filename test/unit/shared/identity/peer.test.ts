import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acceptedPeer,
  type PeerVerdict,
  trustedPeer,
} from "../../../../src/shared/identity/peer.ts";
import { formatSpiffe } from "../../../../src/shared/identity/spiffe.ts";

const web = "spiffe://cluster.local/ns/shop/sa/web";
const orders = "spiffe://cluster.local/ns/shop/sa/orders";
const abroad = "spiffe://other.domain/ns/shop/sa/web";
const service = "https://catalog.shop.svc";

const show = (verdict: PeerVerdict): string =>
  verdict.kind === "accepted" ? formatSpiffe(verdict.peer) : `refused: ${verdict.reason}`;

const asClient: readonly [string, readonly string[], readonly string[], string | RegExp][] = [
  ["the one name", [web], [web], web],
  ["one of several names", [service, orders, web], [web], web],
  ["one of several accepted", [web], [orders, web], web],
  ["the first of the peer's that is accepted", [orders, web], [web, orders], orders],
  ["another name", [orders], [web], /expected identity .*web"\), its names: ".*orders"/],
  ["a longer name", [`${web}2`], [web], /^refused/],
  ["a name with a tail", [`${web}/`], [`${web}/`], /^refused/],
  ["another case", [web.toUpperCase()], [web], /^refused/],
  ["a name that is accepted but not of SPIFFE's form", [service], [service], /^refused/],
  ["nothing accepted", [web], [], /\(none\)/],
  ["no names", [], [web], /its names: none/],
];

for (const [name, uris, accepted, expected] of asClient) {
  test(`as a client: ${name}`, () => {
    const verdict = show(acceptedPeer(uris, accepted));
    if (typeof expected === "string") assert.equal(verdict, expected);
    else assert.match(verdict, expected);
  });
}

const asServer: readonly [string, readonly string[], string | RegExp][] = [
  ["the same trust domain", [web], web],
  ["a name that is no identity before it", [service, web], web],
  ["another trust domain", [abroad], /another trust domain than "cluster\.local"/],
  ["a trust domain that only begins alike", [web.replace(".local", ".local.evil")], /^refused/],
  ["no identity at all", [service], /no SPIFFE identity/],
  ["no names", [], /no SPIFFE identity/],
  ["one of the names is enough, the first says who it is", [abroad, web], abroad],
];

for (const [name, uris, expected] of asServer) {
  test(`as a server: ${name}`, () => {
    const verdict = show(trustedPeer(uris, "cluster.local"));
    if (typeof expected === "string") assert.equal(verdict, expected);
    else assert.match(verdict, expected);
  });
}
