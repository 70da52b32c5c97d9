/** Laws of the HTTP/1.1 codecs: a split changes nothing, what one writes the other reads, and noise harms nobody. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  defaultHttp1ClientSettings,
  Http1Client,
} from "../../../../src/waypoint/http/http1/client.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";
import { FakeTransport } from "../../../support/waypoint/fake-transport.ts";
import { answerOk, ServerUnderTest, settled } from "../../../support/waypoint/http1.ts";

const runs = { numRuns: 300, interruptAfterTimeLimit: 10_000 };

const name = fc.stringMatching(/^x-[a-z0-9!#$%&'*+.^`|~-]{1,12}$/);
const value = fc
  .stringMatching(/^[\x21-\x7e\x80-\xff]{0,8}(?:[ \t][\x21-\x7e\x80-\xff]{1,8}){0,2}$/)
  .map((text) => text.trim());
const fields = fc.array(fc.tuple(name, value), { maxLength: 6 }).map((list) => list.flat());
const octets = fc
  .uint8Array({ maxLength: 60 })
  .map((bytes) => Buffer.from(bytes).toString("latin1"));

interface Message {
  readonly method: string;
  readonly path: string;
  readonly fields: readonly string[];
  readonly pieces: readonly string[];
  readonly framing: "none" | "length" | "chunks";
  readonly trailers: readonly string[];
}

const message: fc.Arbitrary<Message> = fc.record({
  method: fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"),
  path: fc.stringMatching(/^\/[a-zA-Z0-9/?&=%._~-]{0,20}$/),
  fields,
  pieces: fc.array(octets, { maxLength: 4 }),
  framing: fc.constantFrom("none", "length", "chunks"),
  trailers: fields,
});

/** What the client codec writes for it. */
async function written(one: Message): Promise<string> {
  const transport = new FakeTransport();
  const ignore = (): void => undefined;
  const client = new Http1Client(transport, defaultHttp1ClientSettings, {
    available: ignore,
    unusable: ignore,
  });
  client.start();
  const head = new Fields([...one.fields]);
  const body = one.pieces.join("");
  const endStream = one.framing === "none";
  if (one.framing === "length") head.append("content-length", String(body.length));
  const writer = client.open(
    {
      method: one.method,
      scheme: "http",
      authority: "web",
      path: one.path,
      fields: head,
      upgrade: undefined,
    },
    endStream,
    {
      interim: ignore,
      head: ignore,
      body: () => true,
      end: ignore,
      reset: ignore,
      writable: ignore,
    },
  );
  if (!endStream) {
    for (const piece of one.pieces) {
      const bytes = Buffer.from(piece, "latin1");
      writer.body(bytes, 0, bytes.length);
    }
    writer.end(one.framing === "chunks" ? new Fields([...one.trailers]) : undefined);
  }
  await settled();
  return transport.written;
}

function read(text: string, splits: readonly number[]): unknown {
  const under = new ServerUnderTest();
  under.answers = answerOk;
  let from = 0;
  for (const split of [...new Set(splits)].sort((a, b) => a - b)) {
    if (split <= from || split >= text.length) continue;
    under.transport.play(text.slice(from, split));
    from = split;
  }
  under.transport.play(text.slice(from));
  return {
    requests: under.requests.map(({ head, body, trailers, ended }) => ({
      head: [head.method, head.authority, head.path, ...head.fields.flat],
      body,
      trailers,
      ended,
    })),
    written: under.transport.written.replace(/date: [^\r]*/g, "date"),
    ending: under.transport.ending,
    refused: under.refused.map(({ status }) => status),
  };
}

test("what the client codec writes, the server codec reads, whatever the splits", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(message, { minLength: 1, maxLength: 3 }),
      fc.array(fc.nat(600), { maxLength: 12 }),
      async (messages, splits) => {
        const texts: string[] = [];
        for (const one of messages) texts.push(await written(one));
        const seen = read(texts.join(""), splits) as {
          requests: { head: string[]; body: string }[];
        };
        assert.equal(seen.requests.length, messages.length);
        for (const [index, one] of messages.entries()) {
          const request = seen.requests[index];
          assert.deepEqual(request?.head.slice(0, 3), [one.method, "web", one.path]);
          assert.deepEqual(request?.head.slice(3, 3 + one.fields.length), one.fields);
          assert.equal(request?.body, one.framing === "none" ? "" : one.pieces.join(""));
        }
        assert.deepEqual(seen, read(texts.join(""), []));
      },
    ),
    runs,
  );
});

/** Pieces of requests, right and wrong, in any order. */
const shards = fc.constantFrom(
  "GET / HTTP/1.1\r\n",
  "POST / HTTP/1.1\r\n",
  "Host: web\r\n",
  "Content-Length: 3\r\n",
  "Transfer-Encoding: chunked\r\n",
  "\r\n",
  "\n",
  "\r",
  "abc",
  "3\r\nabc\r\n",
  "0\r\n\r\n",
  "0\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "A: b\r\n",
  " c\r\n",
  "\0",
  "Connection: close\r\n",
  "GET / HTTP/1.1\r\nHost: web\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: web\r\n",
  ": ",
  "5;x=y\r\n",
);

test("however a stream of right and wrong pieces is split, the same is read and answered", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 8, arbitrary: shards }, octets), { maxLength: 14 }),
      fc.array(fc.nat(200), { maxLength: 10 }),
      (pieces, splits) => {
        const text = pieces.join("");
        assert.deepEqual(read(text, splits), read(text, []));
        const bytewise = Array.from({ length: text.length }, (_, index) => index);
        assert.deepEqual(read(text, bytewise), read(text, []));
      },
    ),
    { ...runs, numRuns: 1500 },
  );
});

test("nothing that an upstream sends throws, and the attempt always ends when the connection does", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.oneof(
          { weight: 6, arbitrary: shards },
          {
            weight: 6,
            arbitrary: fc.constantFrom(
              "HTTP/1.1 200 OK\r\n",
              "HTTP/1.1 100 Continue\r\n\r\n",
              "HTTP/1.1 204 X\r\n\r\n",
              "Content-Length: 0\r\n\r\n",
            ),
          },
          octets,
        ),
        { maxLength: 10 },
      ),
      fc.integer({ min: 1, max: 50 }),
      (pieces, pieceBytes) => {
        const transport = new FakeTransport();
        let ends = 0;
        const client = new Http1Client(transport, defaultHttp1ClientSettings, {
          available: () => undefined,
          unusable: () => undefined,
        });
        client.start();
        client.open(
          {
            method: "GET",
            scheme: "http",
            authority: "web",
            path: "/",
            fields: new Fields(),
            upgrade: undefined,
          },
          true,
          {
            interim: () => undefined,
            head: (_head, endStream) => {
              if (endStream) ends++;
            },
            body: () => true,
            end: () => ends++,
            reset: () => ends++,
            writable: () => undefined,
          },
        );
        transport.play(pieces.join(""), pieceBytes);
        transport.playEnd();
        transport.playClosed();
        assert.equal(ends, 1);
      },
    ),
    { ...runs, numRuns: 1500 },
  );
});
