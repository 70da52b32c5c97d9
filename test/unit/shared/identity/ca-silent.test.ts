/** A certificate authority that takes connections and says nothing: given up soon, and asked again on a new connection. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { after, test } from "node:test";
import { type Clock, systemClock } from "../../../../src/shared/base/clock.ts";
import { CaClient } from "../../../../src/shared/identity/ca-client.ts";
import { tlsSettings } from "../../../../src/shared/identity/tls-context.ts";
import { createLogger, LogFilter } from "../../../../src/shared/telemetry/logger.ts";
import { portOf } from "../../../support/hbone.ts";
import { newRoot } from "./pki.ts";

/** Timers ten times as fast. */
const hurried: Clock = {
  ...systemClock,
  after: (delayMs, fire) => systemClock.after(delayMs / 10, fire),
};

const taken: Socket[] = [];
const silent = createServer((socket) => taken.push(socket));
after(() => {
  silent.close();
  for (const socket of taken) socket.destroy();
});

test("the connection is given up after 5 s, and the next call makes another", async () => {
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const client = new CaClient({
    endpoint: {
      address: `https://127.0.0.1:${portOf(silent)}`,
      rootCa: newRoot().certificate.pem,
      clusterId: "c",
      headers: new Map(),
    },
    secretTtlMs: 1000,
    impersonate: true,
    tls: tlsSettings({ tls12: false, compliancePolicy: undefined }),
    clock: hurried,
    log: createLogger(
      { clock: systemClock, filter: new LogFilter("off"), format: "plain", write: () => undefined },
      "identity",
    ),
  });
  const ask = () =>
    client.fetchCertificate(
      { trustDomain: "cluster.local", namespace: "shop", serviceAccount: "web" },
      new AbortController().signal,
    );
  for (const connections of [1, 2]) {
    await assert.rejects(ask(), {
      code: "identity-unavailable",
      message: /^identity error: no connection to https:\/\/127\.0\.0\.1:\d+ in 5000 ms$/,
    });
    assert.equal(taken.length, connections);
  }
  client.close();
  // What was given up is closed, not left behind.
  await Promise.all(taken.map((socket) => once(socket.resume(), "close")));
});
