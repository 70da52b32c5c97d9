import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAccessLine } from "../../../../src/cli/demo/access-log.ts";
import { Picture, type PictureState } from "../../../../src/cli/demo/picture.ts";
import { renderPicture } from "../../../../src/cli/demo/render.ts";
import { shop } from "../../../../src/cli/demo/shop.ts";
import { layOut, podOf } from "../../../../src/cli/world/topology.ts";

const topology = layOut(shop);

function access(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ scope: "access", message: "connection complete", ...fields });
}

function samplePicture(): PictureState {
  const picture = new Picture(topology);
  picture.setInMesh([podOf(topology, "web").uid, podOf(topology, "catalog-v2").uid]);
  picture.setZtunnel("node1", "zt-1a", 71.6);
  const tunneled = {
    "src.addr": "10.10.1.10:40000",
    "src.workload": "web",
    "src.identity": "spiffe://cluster.local/ns/shop/sa/web",
    "dst.addr": "10.10.2.10:15008",
    "dst.hbone_addr": "10.10.2.10:8080",
    "dst.workload": "catalog-v2",
  };
  const plain = { "src.addr": "10.10.1.13:40000", "dst.addr": "10.10.2.10:8080" };
  const error =
    "connection closed due to policy rejection: explicitly denied by: istio-system/istio_converted_static_strict";
  for (const line of [
    access({ ...tunneled, direction: "outbound" }),
    access({ ...tunneled, direction: "inbound" }),
    access({ ...tunneled, direction: "inbound" }),
    access({ ...plain, direction: "inbound", error }),
  ]) {
    const entry = parseAccessLine("node2", line);
    assert.ok(entry);
    picture.addAccess(entry);
  }
  picture.addRequest({ kind: "request", from: "web", to: "catalog-v2", ok: true, reason: "" });
  picture.addRequest({ kind: "request", from: "legacy", to: "db", ok: true, reason: "" });
  picture.setScenes(
    [
      { state: "done", name: "a", title: "First", ok: true, detail: "seen" },
      { state: "done", name: "b", title: "Second", ok: false, detail: "not seen\nsecond line" },
      { state: "playing", name: "c", title: "Third" },
      { state: "waiting", name: "d", title: "Fourth" },
    ],
    12.4,
  );
  return picture.state();
}

test("connections of one kind are counted once per connection, latest kind first", () => {
  const { connections } = samplePicture();
  assert.deepEqual(
    connections.map(({ from, to, how, verdict, count }) => [from, to, how, verdict, count]),
    [
      ["legacy", "db", "plain", "ok", 1],
      ["legacy", "catalog-v2", "plain", "denied", 1],
      ["web", "catalog-v2", "tunnel", "ok", 2],
    ],
  );
});

for (const columns of [72, 80, 120])
  test(`the picture fits ${columns} columns`, () => {
    const lines = renderPicture(samplePicture(), { columns, rows: 24, color: false });
    assert.ok(lines.length <= 24, `${lines.length} lines`);
    for (const line of lines) assert.ok(line.length <= columns, `${line.length}: ${line}`);
    const text = lines.join("\n");
    assert.match(text, /web +10\.10\.1\.10 +in mesh/);
    assert.match(text, /legacy +10\.10\.1\.13 +outside/);
    assert.match(text, /tunnel as shop\/web +2x/);
    assert.match(text, /2\/4 scenes {2}12 s/);
    assert.match(text, /!! Second/);
    assert.match(text, />> Third/);
  });

test("without color there is no escape sequence, with it the text is the same", () => {
  const options = { columns: 80, rows: 24 };
  const plain = renderPicture(samplePicture(), { ...options, color: false }).join("\n");
  const colored = renderPicture(samplePicture(), { ...options, color: true }).join("\n");
  assert.ok(!plain.includes("\x1b"));
  assert.ok(colored.includes("\x1b[32m"));
  assert.equal(stripEscapes(colored), plain);
});

function stripEscapes(text: string): string {
  return text
    .split("\x1b")
    .map((part, position) => (position === 0 ? part : part.slice(part.indexOf("m") + 1)))
    .join("");
}
