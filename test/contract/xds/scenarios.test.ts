/** `ambit controlplane` as a process, under raw delta clients of independent gRPC implementations: the same scenarios for each. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, test } from "node:test";
import { ManagedProcess } from "../../../src/cli/world/process.ts";
import { addressType, authorizationType } from "../../../src/shared/xds/types.ts";
import { ztunnelNode } from "../../support/delta-client.ts";
import { program } from "../../support/program.ts";
import { type Answer, grpcJs, type Peer, type PeerKind, pythonGrpc } from "./peers.ts";

const base = readFileSync(join(import.meta.dirname, "../../golden/l4-base/input.yaml"), "utf8");
const policy = (name: string): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: shop }
spec: { action: DENY, rules: [{ from: [{ source: { namespaces: [legacy] } }] }] }
`;
/** Not on any node of the mesh: nothing comes unasked. */
const foreignNode = { ...ztunnelNode, metadata: { NAMESPACE: "istio-system" } };
const reviews = "shop/reviews.shop.svc.cluster.local";
const vip = "/10.96.1.1";

const namesOf = ({ resources }: Answer): readonly string[] =>
  resources.map(({ name }) => name).sort();
const versionsOf = ({ resources }: Answer): Readonly<Record<string, string>> =>
  Object.fromEntries(resources.map(({ name, version }) => [name, version]));

interface ConnectionPage {
  readonly connections: readonly {
    readonly types: readonly {
      readonly typeUrl: string;
      readonly nacks: number;
      readonly lastNack?: { readonly nonce: string; readonly message: string };
      readonly synced: boolean;
      readonly ackedNonce: string;
    }[];
  }[];
}

class Stage {
  readonly #dir = mkdtempSync(join(tmpdir(), "ambit-xds-"));
  #process: ManagedProcess | undefined;
  #ports: Readonly<Record<string, string>> = {};

  constructor() {
    mkdirSync(join(this.#dir, "objects"));
    this.write("base.yaml", base);
  }

  async start(): Promise<void> {
    const any = ["grpc", "secure-grpc", "http", "monitoring"];
    const started = ManagedProcess.start({
      name: "controlplane",
      command: [
        ...program,
        "controlplane",
        ...["--config", join(this.#dir, "objects"), "--state-dir", join(this.#dir, "state")],
        ...any.flatMap((name) => [`--${name}-addr`, "127.0.0.1:0"]),
        ...["--log-format", "json"],
      ],
    });
    this.#process = started;
    const ready = (line: string): boolean => line.includes('"control plane is ready"');
    this.#ports = JSON.parse(await started.waitForLine(ready, 20_000, "that it is ready"));
  }

  get address(): string {
    return this.#ports["grpc"] ?? "";
  }

  async kill(): Promise<void> {
    await this.#process?.stop("SIGKILL");
  }

  write(name: string, text: string): void {
    writeFileSync(join(this.#dir, "draft"), text);
    renameSync(join(this.#dir, "draft"), join(this.#dir, "objects", name));
  }

  remove(name: string): void {
    rmSync(join(this.#dir, "objects", name));
  }

  async report(typeUrl: string) {
    const response = await fetch(`http://${this.#ports["http"]}/debug/connections`);
    const { connections } = (await response.json()) as ConnectionPage;
    const types = connections.flatMap((one) => one.types);
    return types.filter((type) => type.typeUrl === typeUrl);
  }

  async close(): Promise<void> {
    await this.kill();
    rmSync(this.#dir, { recursive: true });
  }
}

function scenarios(kind: PeerKind): void {
  test(`${kind.name} is installed`, { skip: kind.missing }, (context) =>
    context.diagnostic(`peer: ${kind.name}, ${kind.version}`),
  );

  describe(`the control plane and ${kind.name}`, { skip: kind.missing }, () => {
    let stage: Stage;
    const peers: Peer[] = [];

    const connect = (): Peer => {
      const peer = kind.connect(stage.address);
      peers.push(peer);
      return peer;
    };
    const ack = (peer: Peer, { typeUrl, nonce }: Answer): void => peer.send({ typeUrl, nonce });
    const synced = async (typeUrl = addressType) => {
      const peer = connect();
      peer.send({ typeUrl, node: ztunnelNode });
      const first = await peer.next();
      ack(peer, first);
      return { peer, first };
    };
    const onDemand = async (...names: readonly string[]) => {
      const peer = connect();
      const all = ["*"];
      peer.send({ typeUrl: addressType, node: foreignNode, subscribe: all, unsubscribe: all });
      ack(peer, await peer.next());
      const answers: Answer[] = [];
      for (const name of names) {
        peer.send({ typeUrl: addressType, subscribe: [name] });
        const answer = await peer.next();
        ack(peer, answer);
        answers.push(answer);
      }
      return { peer, answers };
    };

    before(async () => {
      stage = new Stage();
      await stage.start();
    });

    afterEach(() => {
      for (const peer of peers.splice(0)) peer.close();
    });

    after(() => stage.close());

    test("wildcard: one answer with everything, payloads of the asked type", async () => {
      const { first, peer } = await synced();
      assert.equal(first.resources.length, 10);
      assert.ok(first.resources.every((one) => one.typeUrl === addressType && one.bytes !== ""));
      assert.ok(await peer.nothing(150), "an acknowledgment is not answered");
    });

    test("both types on one stream, in either order", async () => {
      const peer = connect();
      peer.send({ typeUrl: authorizationType, node: ztunnelNode });
      peer.send({ typeUrl: addressType });
      const types = [(await peer.next()).typeUrl, (await peer.next()).typeUrl];
      assert.deepEqual(types.sort(), [addressType, authorizationType].sort());
    });

    test("on demand: by address, by name, what does not exist; unsubscribed names are quiet", async () => {
      const { peer, answers } = await onDemand(vip, "/10.10.2.13", "shop/nobody");
      const [service, pod, nobody] = answers;
      assert.ok(service && pod && nobody);
      assert.ok(namesOf(service).includes(reviews));
      assert.deepEqual(namesOf(pod), ["Kubernetes//Pod/shop/db-0"]);
      assert.deepEqual([namesOf(nobody), nobody.removed], [[], ["shop/nobody"]]);
      const names = [...namesOf(service), vip];
      peer.send({ typeUrl: addressType, unsubscribe: names });
      stage.write("base.yaml", base.replaceAll("10.10.1.11", "10.10.1.81"));
      assert.ok(await peer.nothing(400), "nothing about what was dropped");
      stage.write("base.yaml", base.replaceAll("10.10.2.13", "10.10.2.83"));
      assert.deepEqual(namesOf(await peer.next()), ["Kubernetes//Pod/shop/db-0"]);
      stage.write("base.yaml", base);
      assert.deepEqual(namesOf(await peer.next()), ["Kubernetes//Pod/shop/db-0"]);
    });

    test("a name that was absent is told as soon as it exists, and when it goes again", async () => {
      const key = "shop/late.shop.svc.cluster.local";
      const { peer, answers } = await onDemand(key);
      assert.deepEqual(answers[0]?.removed, [key]);
      stage.write(
        "late.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: { name: late, namespace: shop }\nspec: { clusterIP: 10.96.1.77, ports: [{ port: 80 }] }\n",
      );
      assert.deepEqual(namesOf(await peer.next()), [key]);
      stage.remove("late.yaml");
      assert.deepEqual((await peer.next()).removed, [key]);
    });

    test("an acknowledgment with a stale nonce neither counts nor is answered", async () => {
      const { peer, first } = await synced(authorizationType);
      stage.write("policy.yaml", policy("one"));
      const push = await peer.next();
      assert.notEqual(push.nonce, first.nonce);
      ack(peer, first);
      peer.send({ typeUrl: authorizationType, nonce: "made up" });
      assert.ok(await peer.nothing(200));
      const [before] = await stage.report(authorizationType);
      assert.deepEqual([before?.ackedNonce, before?.synced], [first.nonce, false]);
      ack(peer, push);
      await until(async () => (await stage.report(authorizationType))[0]?.synced === true);
      stage.remove("policy.yaml");
      assert.deepEqual((await peer.next()).removed, ["shop/one"]);
    });

    test("a demand in one message with an acknowledgment is both", async () => {
      const { peer } = await onDemand();
      peer.send({ typeUrl: addressType, subscribe: ["/10.10.2.12"] });
      const answer = await peer.next();
      peer.send({ typeUrl: addressType, subscribe: ["/10.10.2.13"], nonce: answer.nonce });
      assert.deepEqual(namesOf(await peer.next()), ["Kubernetes//Pod/shop/db-0"]);
    });

    test("a rejection shows on the debug page, and the stream goes on", async () => {
      const { peer } = await synced(authorizationType);
      stage.write("policy.yaml", policy("bad"));
      const push = await peer.next();
      peer.send({ typeUrl: authorizationType, nonce: push.nonce, error: "shop/bad: no" });
      await until(async () => (await stage.report(authorizationType))[0]?.nacks === 1);
      const [report] = await stage.report(authorizationType);
      assert.deepEqual(report?.lastNack, { nonce: push.nonce, message: "shop/bad: no" });
      assert.equal(report?.synced, false);
      stage.write("policy.yaml", policy("good"));
      const next = await peer.next();
      assert.deepEqual([namesOf(next), next.removed], [["shop/good"], ["shop/bad"]]);
      ack(peer, next);
      await until(async () => (await stage.report(authorizationType))[0]?.synced === true);
      stage.remove("policy.yaml");
      assert.deepEqual((await peer.next()).removed, ["shop/good"]);
    });

    test("several clients: each hears of a change once, and one that leaves disturbs nobody", async () => {
      const clients = await Promise.all(Array.from({ length: 4 }, () => synced()));
      clients[3]?.peer.close();
      stage.write("base.yaml", base.replaceAll("10.10.2.12", "10.10.2.92"));
      for (const { peer } of clients.slice(0, 3)) {
        const push = await peer.next();
        assert.deepEqual(namesOf(push), ["Kubernetes//Pod/shop/ratings-v1"]);
        ack(peer, push);
      }
      stage.write("base.yaml", base);
      for (const { peer } of clients.slice(0, 3)) {
        assert.deepEqual(namesOf(await peer.next()), ["Kubernetes//Pod/shop/ratings-v1"]);
        assert.ok(await peer.nothing(50));
      }
    });

    test("a reconnect with the held versions is told only of the difference, also on demand", async () => {
      const { first } = await synced();
      const held = { ...versionsOf(first), gone: "1", "Kubernetes//Pod/shop/web-1": "old" };
      const again = connect();
      again.send({ typeUrl: addressType, node: ztunnelNode, versions: held });
      const answer = await again.next();
      assert.deepEqual(
        [namesOf(answer), answer.removed],
        [["Kubernetes//Pod/shop/web-1"], ["gone"]],
      );

      const { answers } = await onDemand(vip);
      assert.ok(answers[0]);
      const demanded = connect();
      demanded.send({
        typeUrl: addressType,
        node: foreignNode,
        subscribe: ["*"],
        unsubscribe: ["*"],
        // What was asked for and never came stands with an empty version.
        versions: { ...versionsOf(answers[0]), "shop/nobody": "" },
      });
      const resumed = await demanded.next();
      assert.deepEqual([namesOf(resumed), resumed.removed], [[], ["shop/nobody"]]);
      stage.write("base.yaml", base.replaceAll("10.10.1.11", "10.10.1.81"));
      assert.deepEqual(namesOf(await demanded.next()), ["Kubernetes//Pod/shop/reviews-v1"]);
      stage.write("base.yaml", base);
      await demanded.next();
    });

    test("a type that nobody knows is ignored", async () => {
      const { peer } = await synced();
      peer.send({ typeUrl: "type.googleapis.com/envoy.config.route.v3.RouteConfiguration" });
      assert.ok(await peer.nothing(150));
    });

    test("killed and started again, it sends nothing to a client that holds everything", async () => {
      const { peer, first } = await synced();
      await stage.kill();
      await assert.rejects(peer.next(), /UNAVAILABLE|stream ended/);
      await stage.start();
      const again = connect();
      again.send({ typeUrl: addressType, node: ztunnelNode, versions: versionsOf(first) });
      const answer = await again.next();
      assert.deepEqual([namesOf(answer), answer.removed], [[], []]);
    });
  });
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error("did not happen in time");
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

scenarios(grpcJs);
scenarios(pythonGrpc());
