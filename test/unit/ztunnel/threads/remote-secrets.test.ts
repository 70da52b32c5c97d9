import assert from "node:assert/strict";
import { once } from "node:events";
import { beforeEach, test } from "node:test";
import { MessageChannel } from "node:worker_threads";
import { MeshError } from "../../../../src/shared/base/errors.ts";
import type { SpiffeIdentity } from "../../../../src/shared/identity/spiffe.ts";
import { parseSpiffe } from "../../../../src/shared/identity/spiffe.ts";
import { tlsSettings } from "../../../../src/shared/identity/tls-context.ts";
import type { WorkloadCertificate } from "../../../../src/shared/identity/workload-certificate.ts";
import {
  packCertificate,
  unpackCertificate,
} from "../../../../src/ztunnel/threads/certificate-parcel.ts";
import type { CertificateParcel } from "../../../../src/ztunnel/threads/messages.ts";
import { RemoteSecrets } from "../../../../src/ztunnel/threads/remote-secrets.ts";
import { FakeClock } from "../../../support/clock.ts";
import { newIntermediate, newRoot, newWorkload, spiffe } from "../../shared/identity/pki.ts";

const settings = tlsSettings({ tls12: false, compliancePolicy: undefined });
const root = newRoot();
const web = identityOf("shop/web");

function identityOf(name: string): SpiffeIdentity {
  const identity = parseSpiffe(spiffe(name));
  assert.ok(identity);
  return identity;
}

function issue(name = "shop/web"): WorkloadCertificate {
  return newWorkload(root, { uris: [spiffe(name)] });
}

/** As it comes out of a message. */
async function sent(certificate: WorkloadCertificate): Promise<CertificateParcel> {
  const { port1, port2 } = new MessageChannel();
  port1.postMessage(packCertificate(certificate));
  const [parcel] = (await once(port2, "message")) as [CertificateParcel];
  port1.close();
  return parcel;
}

interface Question {
  readonly identity: SpiffeIdentity;
  readonly answer: (parcel: CertificateParcel) => void;
  readonly refuse: (error: Error) => void;
}

let clock: FakeClock;
let questions: Question[];
let secrets: RemoteSecrets;

beforeEach(() => {
  clock = new FakeClock(Date.now());
  questions = [];
  secrets = new RemoteSecrets({
    clock,
    ask: (identity) =>
      new Promise((answer, refuse) => questions.push({ identity, answer, refuse })),
    unpack: (parcel) => unpackCertificate(parcel, settings, undefined),
  });
});

test("a certificate arrives as it was: names, dates, chain, roots, and a key that fits", async () => {
  const original = newWorkload(newIntermediate(root), {
    uris: [spiffe("shop/web")],
    roots: [root.certificate, newRoot("other").certificate],
  });
  const copy = unpackCertificate(await sent(original), settings, undefined);
  assert.deepEqual(copy.identity, original.identity);
  assert.equal(copy.leaf.pem, original.leaf.pem);
  assert.equal(copy.leaf.notAfterMs, original.leaf.notAfterMs);
  assert.deepEqual(
    copy.intermediates.map(({ pem }) => pem),
    original.intermediates.map(({ pem }) => pem),
  );
  assert.equal(copy.roots.length, 2);
  // OpenSSL refuses a key that does not belong to the leaf.
  copy.clientContext();
  copy.acceptor();
});

test("what was sent ahead is there at once, and nobody is asked", async () => {
  const certificate = issue();
  secrets.receive(await sent(certificate));
  const held = await secrets.fetch(web, "real-time");
  assert.equal(held.leaf.pem, certificate.leaf.pem);
  assert.equal(questions.length, 0);
});

test("what is missing is asked for once, however many wait for it", async () => {
  const waiting = [secrets.fetch(web, "real-time"), secrets.fetch(web, "real-time")];
  assert.equal(questions.length, 1);
  assert.deepEqual(questions[0]?.identity, web);
  questions[0]?.answer(await sent(issue()));
  const [one, two] = await Promise.all(waiting);
  assert.equal(one, two);
  assert.equal(await secrets.fetch(web, "real-time"), one);
  assert.equal(questions.length, 1);
});

test("a renewal replaces the old one; the same one again does not, so contexts are shared", async () => {
  const first = secrets.receive(await sent(issue()));
  const renewed = issue();
  const second = secrets.receive(await sent(renewed));
  assert.notEqual(second, first);
  assert.equal(secrets.receive(await sent(renewed)), second);
  assert.equal(await secrets.fetch(web, "real-time"), second);
});

test("what the main thread has given up, and what has expired, is asked for again", async () => {
  const certificate = issue();
  secrets.receive(await sent(certificate));
  secrets.forget(web);
  const again = secrets.fetch(web, "real-time");
  questions[0]?.answer(await sent(certificate));
  await again;
  await clock.advance(certificate.leaf.notAfterMs - clock.wallMs() + 1);
  void secrets.fetch(web, "real-time").catch(() => undefined);
  assert.equal(questions.length, 2);
});

test("a refusal is told with its reason, and the next one asks again", async () => {
  const refused = secrets.fetch(web, "real-time");
  questions[0]?.refuse(new MeshError("identity-unavailable", "identity error: not on this node"));
  await assert.rejects(refused, { code: "identity-unavailable", message: /not on this node/ });
  void secrets.fetch(web, "real-time").catch(() => undefined);
  assert.equal(questions.length, 2);
});

test("a connection that is gone waits no longer; the answer still comes for the next", async () => {
  const gone = new AbortController();
  const waiting = secrets.fetch(web, "real-time", gone.signal);
  gone.abort(new Error("cut"));
  await assert.rejects(waiting, /cut/);
  questions[0]?.answer(await sent(issue()));
  await secrets.fetch(web, "real-time");
  assert.equal(questions.length, 1);
});

test("an answer for somebody else is not taken", async () => {
  const asked = secrets.fetch(web, "real-time");
  questions[0]?.answer(await sent(issue("shop/other")));
  await assert.rejects(asked, { code: "identity-unavailable" });
});
