/** `ambit waypoint` on object files. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { CommandIo } from "../../../../src/cli/command.ts";
import { main } from "../../../../src/cli/main.ts";

const MESH = `# the shop
apiVersion: v1
kind: Namespace
metadata:
  name: shop # ours
  labels:
    istio.io/dataplane-mode: ambient
---
apiVersion: v1
kind: Namespace
metadata: { name: plain }
`;

const SERVICE = `apiVersion: v1
kind: Service
metadata: { name: waypoint, namespace: shop }
spec:
  clusterIP: 10.0.0.9
  selector: { gateway.networking.k8s.io/gateway-name: waypoint }
  ports: [{ name: mesh, port: 15008 }]
`;

let folder = "";

async function run(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  let out = "";
  let err = "";
  const io: CommandIo = {
    env: {},
    stdout: (text) => {
      out += text;
    },
    stderr: (text) => {
      err += text;
    },
    shutdown: new AbortController().signal,
    kill: new AbortController().signal,
    entry: new URL(import.meta.url),
  };
  const code = await main(["waypoint", ...args], io);
  return { code, out, err };
}

function at(...args: string[]): string[] {
  return [...args, "--config", folder, "-n", "shop"];
}

describe("ambit waypoint", () => {
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "ambit-waypoint-"));
    writeFileSync(join(folder, "mesh.yaml"), MESH);
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const read = (name: string): string => readFileSync(join(folder, name), "utf8");

  it("prints a Gateway", async () => {
    const { code, out } = await run("generate", "--for", "all", "-r", "canary", "--name", "edge");
    assert.equal(code, 0);
    assert.equal(
      out,
      `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  labels:
    istio.io/waypoint-for: all
    istio.io/rev: canary
  name: edge
spec:
  gatewayClassName: istio-waypoint
  listeners:
    - name: mesh
      port: 15008
      protocol: HBONE
`,
    );
  });

  it("refuses a name and a kind of traffic that mean nothing", async () => {
    assert.equal((await run("generate", "--name", "none")).code, 2);
    assert.equal((await run("generate", "--for", "everything")).code, 2);
  });

  it("puts a Gateway into a folder, changes it, and enrolls the namespace without touching the rest", async () => {
    const first = await run(...at("apply", "--enroll-namespace", "--for", "all"));
    assert.equal(first.code, 0, first.err);
    assert.equal(
      first.out,
      'waypoint shop/waypoint applied\nnamespace shop labeled with "istio.io/use-waypoint: waypoint"\n',
    );
    assert.equal(
      read("mesh.yaml"),
      MESH.replace(
        "dataplane-mode: ambient\n",
        "dataplane-mode: ambient\n    istio.io/use-waypoint: waypoint\n",
      ),
    );
    assert.match(read("waypoint-shop-waypoint.yaml"), /waypoint-for: all/);
    await run(...at("apply", "-r", "next"));
    const text = read("waypoint-shop-waypoint.yaml");
    assert.match(text, /istio\.io\/rev: next/);
    assert.doesNotMatch(text, /waypoint-for/);
    assert.deepEqual(readdirSync(folder).sort(), ["mesh.yaml", "waypoint-shop-waypoint.yaml"]);
  });

  it("does not replace a namespace's waypoint unasked", async () => {
    await run(...at("apply", "--enroll-namespace"));
    const kept = await run(...at("apply", "--enroll-namespace", "--name", "other"));
    assert.match(kept.out, /^Warning: namespace shop already uses the waypoint waypoint\./);
    assert.equal(existsSync(join(folder, "waypoint-shop-other.yaml")), false);
    await run(...at("apply", "--enroll-namespace", "--overwrite", "--name", "other"));
    assert.match(read("mesh.yaml"), /use-waypoint: other/);
  });

  it("warns of a namespace outside the mesh, and knows when there is none", async () => {
    const plain = ["apply", "--enroll-namespace", "--config", folder, "-n", "plain"];
    assert.match((await run(...plain)).out, /^Warning: namespace plain is not in the mesh/);
    const none = ["apply", "--enroll-namespace", "--config", folder, "-n", "gone"];
    const { code, err } = await run(...none);
    assert.deepEqual([code, err], [1, "ambit: namespace gone not found\n"]);
  });

  it("lists and shows waypoints, and waits until they are ready", async () => {
    assert.equal((await run(...at("list"))).out, "No waypoints found.\n");
    await run(...at("apply"));
    assert.equal(
      (await run(...at("list"))).out,
      "NAME         REVISION     TRAFFIC TYPE     PROGRAMMED\nwaypoint     default      none             False\n",
    );
    const late = await run(...at("apply", "--wait", "--waypoint-timeout", "1s"));
    assert.equal(late.code, 1);
    assert.match(late.err, /timed out while waiting for waypoint shop\/waypoint: /);
    const now = await run("status", "-A", "--no-wait", "--config", folder);
    assert.match(
      now.out,
      /^NAMESPACE +NAME +STATUS +TYPE +REASON +MESSAGE\nshop +waypoint +False /,
    );
    writeFileSync(join(folder, "service.yaml"), SERVICE);
    const ready = await run(...at("apply", "--wait"));
    assert.equal(ready.out, "waypoint shop/waypoint applied\nwaypoint shop/waypoint is ready\n");
    assert.match(
      (await run(...at("status"))).out,
      /waypoint +True +Programmed +Programmed +Resource/,
    );
  });

  it("deletes by name, by revision, and all of them", async () => {
    await run(...at("apply"));
    await run(...at("apply", "--name", "b", "-r", "next"));
    await run(...at("apply", "--name", "c"));
    assert.equal((await run(...at("delete"))).code, 2);
    assert.equal((await run(...at("delete", "b", "--all"))).code, 2);
    const some = await run(...at("delete", "waypoint", "gone"));
    assert.equal(some.out, "waypoint shop/gone not found\nwaypoint shop/waypoint deleted\n");
    assert.equal((await run(...at("delete", "-r", "next"))).out, "waypoint shop/b deleted\n");
    assert.equal((await run(...at("delete", "--all"))).out, "waypoint shop/c deleted\n");
    assert.deepEqual(readdirSync(folder), ["mesh.yaml"]);
  });

  it("works in one file, and in lists, as well", async () => {
    const file = join(folder, "mesh.yaml");
    const inFile = ["--config", file, "-n", "shop"];
    await run("apply", ...inFile);
    assert.match(read("mesh.yaml"), /name: plain }\n---\napiVersion: gateway/);
    await run("delete", "waypoint", ...inFile);
    assert.equal(read("mesh.yaml"), MESH);
    const gateway = { kind: "Gateway", apiVersion: "gateway.networking.k8s.io/v1" };
    const spec = { gatewayClassName: "istio-waypoint" };
    const named = (name: string) => ({ ...gateway, metadata: { name, namespace: "shop" }, spec });
    const items = [named("a"), named("b")];
    writeFileSync(file, JSON.stringify({ apiVersion: "v1", kind: "List", items }));
    await run("delete", "a", ...inFile);
    assert.equal((await run("list", ...inFile)).out.split("\n")[1]?.split(" ")[0], "b");
  });
});
