/** What a peer sent before its RST_STREAM: handed to the client's application where the reset reads as the end. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { systemClock } from "../../../../src/shared/base/clock.ts";
import { openHboneClient } from "../../../../src/shared/hbone/client.ts";
import { joinFlow } from "../../../../src/shared/hbone/flow.ts";
import { slabsInUse } from "../../../../src/shared/hbone/session/slab.ts";
import { defaultHboneSettings } from "../../../../src/shared/hbone/tunnel.ts";
import { carriers } from "../../../support/carriers.ts";
import {
  bareConnections,
  neverAborts,
  nodeSockets,
  RawPeer,
  rawBlock,
  rawFrame,
  rawPreface,
} from "../../../support/hbone.ts";

const SIZE = 60_000;
const END_STREAM = 1;
const code = { none: 0, internal: 2, cancel: 8, connect: 10 };

interface Case {
  readonly name: string;
  readonly code: number;
  readonly endFirst: boolean;
  /** Octets before the reset. */
  readonly bytes?: number;
  readonly seen: "all" | "ECONNRESET";
}

const cases: readonly Case[] = [
  { name: "NO_ERROR", code: code.none, endFirst: false, seen: "all" },
  { name: "CANCEL", code: code.cancel, endFirst: false, seen: "all" },
  // Envoy, when the upstream of a CONNECT closes both ways at once: its inner connection after `Connection: close`.
  { name: "CONNECT_ERROR", code: code.connect, endFirst: false, seen: "all" },
  { name: "CONNECT_ERROR behind END_STREAM", code: code.connect, endFirst: true, seen: "all" },
  { name: "INTERNAL_ERROR behind END_STREAM", code: code.internal, endFirst: true, seen: "all" },
  {
    name: "CONNECT_ERROR, nothing",
    code: code.connect,
    endFirst: false,
    bytes: 0,
    seen: "ECONNRESET",
  },
  { name: "INTERNAL_ERROR", code: code.internal, endFirst: false, seen: "ECONNRESET" },
];

const both = [nodeSockets, bareConnections].flatMap((ends) =>
  carriers.map((carrier) => ({ ends, carrier })),
);
for (const { ends, carrier } of both)
  describe(`RST_STREAM in one piece with the data before it, ${ends.name}, ${carrier.name}`, () => {
    for (const one of cases)
      test(`${one.name}: ${one.seen}`, async () => {
        const { ours, peer: theirs } = await carrier.ourClient();
        const peer = new RawPeer(theirs, rawPreface.length);
        theirs.write(rawFrame(4, 0, 0));
        const session = await openHboneClient(ours, defaultHboneSettings("client"), systemClock);
        const answer = session.connect({ authority: "a:1", headers: [] }, neverAborts);
        await peer.find((frame) => frame.type === 1);
        theirs.write(rawFrame(1, 4, 1, rawBlock([[":status", "200"]])));
        const opened = await answer;
        assert.ok(opened.kind === "open");
        const { near, far } = await ends.pair();
        const flow = joinFlow(near, opened.stream);
        const { bytes: size = SIZE } = one;
        const pieces = Array.from({ length: size === 0 ? 0 : 4 }, (_, index) =>
          rawFrame(0, one.endFirst && index === 3 ? END_STREAM : 0, 1, Buffer.alloc(size / 4)),
        );
        const reset = Buffer.alloc(4);
        reset.writeUInt32BE(one.code);
        theirs.write(Buffer.concat([...pieces, rawFrame(3, 0, 1, reset)]));
        let bytes = 0;
        const seen = await new Promise<string>((resolve) => {
          far.on("data", (chunk: Buffer) => {
            bytes += chunk.length;
          });
          far.on("end", () => resolve("all"));
          far.on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""));
        });
        assert.equal(seen, one.seen);
        if (one.seen === "all") assert.equal(bytes, SIZE);
        far.destroy();
        assert.deepEqual(await flow.done, {});
        session.drain();
        await session.closed;
        theirs.destroy();
        assert.equal(slabsInUse(), 0);
      });
  });
