/**
 * Both ends of ZDS over a real socket: ours against ours, and each of them against a peer that follows the protocol by hand
 * or breaks it.
 */
import "../../support/sandbox.ts";
import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { type AnnouncedPod, ZdsServer } from "../../../src/nodeagent/zds/server.ts";
import { systemClock } from "../../../src/shared/base/clock.ts";
import { Readiness } from "../../../src/shared/base/readiness.ts";
import type { Packet } from "../../../src/shared/os/message.ts";
import { NetworkNamespace } from "../../../src/shared/os/network-namespace.ts";
import { SeqpacketListener, SeqpacketSocket } from "../../../src/shared/os/seqpacket.ts";
import {
  encodeAnswer,
  encodeHello,
  encodeRequest,
  readAnswer,
  type ZdsRequest,
} from "../../../src/shared/zds/messages.ts";
import type { PodProxyFactory } from "../../../src/ztunnel/inpod/pod-proxy.ts";
import { WorkloadManager } from "../../../src/ztunnel/inpod/workload-manager.ts";
import { runZdsClient, ZdsProtocolError } from "../../../src/ztunnel/inpod/zds-client.ts";
import { quietLog } from "../../support/log.ts";
import { addPod, layOut, sh, type TestPod } from "../../support/pods.ts";

const path = "/run/zds.sock";
let one: TestPod;
let two: TestPod;
before(() => {
  layOut();
  one = addPod(1);
  two = addPod(2);
});
after(() => {
  one.namespace.close();
  two.namespace.close();
});

const info = { name: "web", namespace: "shop", serviceAccount: "sa" };

async function until(what: string, holds: () => boolean): Promise<void> {
  for (let i = 0; !holds(); i++) {
    if (i > 300) assert.fail(`waited in vain: ${what}`);
    await systemClock.sleep(10);
  }
}

/** A ztunnel whose proxies are entries of a map. */
class Ztunnel {
  readonly running = new Map<string, bigint>();
  readonly readiness = new Readiness();
  readonly events: string[] = [];
  busy = false;
  readonly #abort = new AbortController();
  readonly ended: Promise<unknown>;

  constructor() {
    const factory: PodProxyFactory = {
      start: async ({ uid, namespace }) => {
        if (this.busy) throw new Error("address already in use");
        this.running.set(uid, namespace.inode);
        this.events.push(`start ${uid}`);
        const stop = (): void => {
          this.events.push(`stop ${uid}`);
          if (this.running.get(uid) === namespace.inode) this.running.delete(uid);
        };
        return { stop, drain: async () => stop() };
      },
    };
    const ignore = (): void => undefined;
    const manager = new WorkloadManager({
      factory,
      readiness: this.readiness,
      log: quietLog,
      metrics: {
        activeProxies: ignore,
        pendingProxies: ignore,
        proxyStarted: ignore,
        proxyStopped: ignore,
      },
    });
    this.ended = runZdsClient(
      { manager, clock: systemClock, log: quietLog, random: () => 0.5 },
      path,
      this.#abort.signal,
    ).then(
      () => "ended",
      (thrown: unknown) => thrown,
    );
  }

  async stop(): Promise<void> {
    this.#abort.abort(new Error("test over"));
    await this.ended;
  }
}

describe("node agent and ztunnel", () => {
  const pods = new Map<string, AnnouncedPod>();
  let server: ZdsServer;
  let synced: number;
  const ztunnels: Ztunnel[] = [];
  const start = (): void => {
    server = ZdsServer.start(
      {
        clock: systemClock,
        log: quietLog,
        uids: () => [...pods.keys()],
        pod: (uid) => pods.get(uid),
        onSynced: () => synced++,
      },
      path,
    );
  };
  const newZtunnel = (): Ztunnel => {
    const ztunnel = new Ztunnel();
    ztunnels.push(ztunnel);
    return ztunnel;
  };
  const podOf = (uid: string, where: TestPod | undefined): AnnouncedPod => ({
    uid,
    info,
    namespace: where?.namespace,
  });

  beforeEach(() => {
    pods.clear();
    synced = 0;
    start();
  });
  afterEach(async () => {
    server.close();
    for (const ztunnel of ztunnels.splice(0)) await ztunnel.stop();
  });

  it("agree on the pods of the snapshot, each in its namespace", async () => {
    pods.set("a", podOf("a", one)).set("b", podOf("b", two));
    const ztunnel = newZtunnel();
    await until("ready", () => ztunnel.readiness.ready && synced === 1);
    assert.deepEqual(
      [...ztunnel.running],
      [
        ["a", one.namespace.inode],
        ["b", two.namespace.inode],
      ],
    );
  });

  it("add and delete while they run", async () => {
    const ztunnel = newZtunnel();
    await until("synced", () => synced === 1);
    await server.add(podOf("a", one));
    assert.deepEqual([...ztunnel.running.keys()], ["a"]);
    await server.add(podOf("a", one));
    assert.deepEqual(ztunnel.events, ["start a"]);
    await server.add(podOf("a", two));
    assert.deepEqual(ztunnel.events, ["start a", "stop a", "start a"]);
    await server.remove("a");
    assert.deepEqual([...ztunnel.running.keys()], []);
  });

  it("report a proxy that cannot start, with its reason", async () => {
    const ztunnel = newZtunnel();
    await until("synced", () => synced === 1);
    ztunnel.busy = true;
    await assert.rejects(
      server.add(podOf("a", one)),
      /ztunnel: failure to start proxy : address already in use/,
    );
    assert.equal(ztunnel.readiness.ready, false);
  });

  it("find each other again after the agent restarted, and reconcile", async () => {
    pods.set("a", podOf("a", one)).set("b", podOf("b", two));
    const ztunnel = newZtunnel();
    await until("synced", () => synced === 1);
    server.close();
    await until("not ready", () => !ztunnel.readiness.ready);
    assert.equal(ztunnel.running.size, 2);
    // The new agent has lost sight of a's namespace, and b is gone.
    pods.delete("b");
    pods.set("a", podOf("a", undefined));
    start();
    await until("ready again", () => ztunnel.readiness.ready);
    assert.deepEqual(ztunnel.events, ["start a", "start b", "stop b"]);
  });

  it("hand over: new pods go to the newest, removals to all, and the older one takes over again", async () => {
    pods.set("a", podOf("a", one));
    const old = newZtunnel();
    await until("first synced", () => synced === 1);
    const young = newZtunnel();
    await until("second synced", () => synced === 2);
    pods.set("b", podOf("b", two));
    await server.add(podOf("b", two));
    assert.deepEqual([...old.running.keys()], ["a"]);
    assert.deepEqual([...young.running.keys()], ["a", "b"]);
    pods.delete("a");
    await server.remove("a");
    assert.deepEqual([old.running.size, young.running.size], [0, 1]);
    await young.stop();
    await until("b at the old one", () => old.running.has("b"));
  });

  it("say that nobody is there", async () => {
    await assert.rejects(server.add(podOf("a", one)), /no ztunnel is connected/);
    await server.remove("a");
  });
});

describe("the node agent with a peer of bad manners", () => {
  let server: ZdsServer;
  beforeEach(() => {
    server = ZdsServer.start(
      {
        clock: systemClock,
        log: quietLog,
        uids: () => [],
        pod: () => undefined,
        onSynced: () => undefined,
      },
      path,
    );
  });
  afterEach(() => server.close());

  const endOf = async (socket: SeqpacketSocket): Promise<void> => {
    while ((await socket.receive(1024)) !== "end");
    socket.close();
  };

  it("closes on a greeting that is none", async () => {
    const socket = SeqpacketSocket.connect(path);
    await socket.send(Buffer.from("GET / HTTP/1.1"));
    await endOf(socket);
    assert.equal(server.connectionCount, 0);
  });

  it("closes on a message nobody asked for, and on an answer it cannot read", async () => {
    for (const bytes of [encodeAnswer({ error: undefined }), Buffer.from([0xff])]) {
      const socket = SeqpacketSocket.connect(path);
      await socket.send(encodeHello());
      await socket.receive(1024);
      await socket.send(encodeAnswer({ error: undefined }));
      await until("connected", () => server.connectionCount === 1);
      await socket.send(bytes);
      await endOf(socket);
      await until("disconnected", () => server.connectionCount === 0);
    }
  });
});

describe("the ztunnel with an agent of bad manners", () => {
  let listener: SeqpacketListener;
  let ztunnel: Ztunnel;
  let agent: SeqpacketSocket;
  beforeEach(async () => {
    listener = SeqpacketListener.listen(path);
    ztunnel = new Ztunnel();
    agent = await accept();
  });
  afterEach(async () => {
    agent.close();
    listener.close();
    await ztunnel.stop();
  });

  const accept = async (): Promise<SeqpacketSocket> => {
    const socket = await listener.accept();
    assert.deepEqual(((await socket.receive(1024)) as Packet).bytes, new Uint8Array(encodeHello()));
    return socket;
  };
  const exchange = async (request: ZdsRequest | Uint8Array, fds: number[] = []) => {
    await agent.send(request instanceof Uint8Array ? request : encodeRequest(request), fds);
    const { bytes } = (await agent.receive(1024)) as Packet;
    const reading = readAnswer({ bytes, fdCount: 0, truncated: false });
    return reading.kind === "message" ? reading.message.error : assert.fail(reading.reason);
  };
  const add: ZdsRequest = { kind: "add", uid: "a", info };

  it("answers what it cannot read and connects anew, its proxies running", async () => {
    assert.equal(await exchange(add, [one.namespace.fd]), undefined);
    const own = NetworkNamespace.own().fd;
    for (const [bytes, fds, reason] of [
      [encodeRequest(add), [], "No control message"],
      [encodeRequest({ kind: "delete", uid: "a" }), [own], "Unexpected control message"],
      [encodeRequest(add), [own, own], "Too many control messages"],
      [Buffer.alloc(1200, 1), [], "message larger than 1024 bytes"],
    ] as const) {
      assert.equal(await exchange(bytes, [...fds]), `failure to read message : ${reason}`);
      assert.equal(await agent.receive(1024), "end");
      agent.close();
      agent = await accept();
    }
    assert.deepEqual(ztunnel.events, ["start a"]);
  });

  it("refuses a descriptor that is no namespace and goes on", async () => {
    const error = await exchange(add, [process.stderr.fd]);
    assert.match(error ?? "", /failure to start proxy : .*not a network namespace/);
    assert.equal(await exchange({ kind: "snapshot-sent" }), undefined);
  });

  it("ends when the protocol is broken", async () => {
    const error = "failure to process message : add without workload info";
    assert.equal(
      await exchange({ kind: "add", uid: "a", info: undefined }, [one.namespace.fd]),
      error,
    );
    const thrown = await ztunnel.ended;
    assert.ok(thrown instanceof ZdsProtocolError);
    assert.equal(thrown.message, error);
  });

  it("does not spin with an agent that closes at once", async () => {
    agent.close();
    let rounds = 0;
    const counting = (async () => {
      for (;;) {
        (await listener.accept()).close();
        rounds++;
      }
    })();
    await systemClock.sleep(300);
    listener.close();
    await counting.catch(() => undefined);
    assert.ok(rounds >= 2 && rounds <= 12, `${rounds} connections in 300 ms`);
  });

  it("closes every namespace it was given", async () => {
    const namespaces = (): number =>
      Number(sh(`ls -l /proc/${process.pid}/fd | grep -c 'run/netns\\|net:' || true`));
    const before = namespaces();
    assert.equal(await exchange({ kind: "snapshot-sent" }), undefined);
    for (let i = 0; i < 20; i++) {
      assert.equal(await exchange(add, [one.namespace.fd]), undefined);
      assert.equal(await exchange(add, [one.namespace.fd]), undefined);
      assert.equal(await exchange(add, [two.namespace.fd]), undefined);
      assert.equal(await exchange({ kind: "delete", uid: "a" }), undefined);
    }
    assert.equal(namespaces(), before);
  });
});
