/** The pods of a case with a waypoint before them: ours or a plain Envoy, driven by recorded resources or by our own. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { HboneClientSession } from "../../../../src/shared/hbone/tunnel.ts";
import { WaypointStage, waypointIp } from "../stage.ts";
import { type Ask, askOver, type Got, talkOver } from "./asking.ts";
import { EnvoyWaypoint } from "./envoy.ts";
import { application, pods, type SeenRequests } from "./pods.ts";
import {
  type CaseResources,
  caseResources,
  givenAddress,
  logTo,
  type Source,
} from "./resources.ts";

export interface Driving {
  readonly source: Source;
  readonly by: "ambit" | "envoy";
}

/** Of an entry of /debug/decisions. */
export interface Refusal {
  readonly destination: string;
  readonly identity: string;
  readonly request: string | null;
  readonly status: number | null;
  readonly flags: string;
  readonly details: string | null;
  readonly route: string | null;
}

const addresses: Readonly<Record<string, string>> = {
  reviews: "10.96.1.1",
  ratings: "10.96.1.2",
  db: "10.96.1.3",
  old: "10.96.1.4",
  sticky: "10.96.1.61",
  empty: "10.96.1.62",
};

export class CaseMesh {
  readonly stage: WaypointStage;
  readonly seen: SeenRequests = [];
  readonly resources: CaseResources;
  readonly driving: Driving;
  readonly #dir = mkdtempSync(join(tmpdir(), "ambit-case-"));
  readonly #sessions = new Map<string, Promise<HboneClientSession>>();
  #envoy: EnvoyWaypoint | undefined;

  constructor(golden: string, driving: Driving) {
    this.driving = driving;
    this.resources = caseResources(golden, driving.source);
    logTo(this.resources, this.#logFile);
    this.stage = new WaypointStage({ resources: this.resources });
  }

  get #logFile(): string {
    return join(this.#dir, "access.log");
  }

  async start(): Promise<void> {
    this.stage.addIps(waypointIp);
    for (const pod of pods) {
      this.stage.addIps(pod.ip);
      if (pod.ports.length === 0) continue;
      for (const port of pod.ports)
        await this.stage.listen(application(pod, port, this.seen), pod.ip, port);
      await this.stage.ztunnel(pod.ip, pod.serviceAccount);
    }
    if (this.driving.by === "ambit") return this.stage.start();
    this.#envoy = await EnvoyWaypoint.start(
      this.resources,
      this.stage.certificate("shop/waypoint"),
      this.#dir,
    );
  }

  async ask(ask: Ask): Promise<Got> {
    const host = ask.host ?? `${ask.to.split(":")[0]}.shop`;
    return askOver(await this.tunnel(ask), ask, host);
  }

  async talk(talk: {
    readonly to: string;
    readonly as?: string;
    readonly from?: string;
    readonly say: string;
    readonly expectBytes: number;
  }): ReturnType<typeof talkOver> {
    const session = await this.#session(talk);
    const answer = await this.stage
      .tunnel(session, this.#authority(talk.to))
      .catch((thrown: unknown) => thrown);
    // A waypoint may refuse the tunnel at once or end it; to the client it is the same.
    if (answer instanceof Error) return { heard: "", end: "reset" };
    return talkOver(
      answer as Awaited<ReturnType<WaypointStage["tunnel"]>>,
      talk.say,
      talk.expectBytes,
    );
  }

  /** The inside of a new tunnel. */
  async tunnel(to: Pick<Ask, "to" | "as" | "from">) {
    return this.stage.tunnel(await this.#session(to), this.#authority(to.to));
  }

  /** Ours only: Envoy's have other names without the reference's filters. */
  async metrics(): Promise<string> {
    return (await fetch("http://127.0.0.1:15020/stats/prometheus")).text();
  }

  /** Ours only: the last refusals with their reasons, newest first. */
  async refusals(): Promise<readonly Refusal[]> {
    const answer = await fetch("http://127.0.0.1:15000/debug/decisions?n=50&refused");
    return (await answer.json()) as readonly Refusal[];
  }

  /** Lines of the access log, when so many are there. */
  async logLines(count: number): Promise<readonly string[]> {
    for (let waitedMs = 0; ; waitedMs += 50) {
      const lines = this.#readLog();
      if (lines.length >= count || waitedMs >= 3000) return lines;
      await new Promise((done) => setTimeout(done, 50));
    }
  }

  async close(): Promise<void> {
    await this.#envoy?.stop();
    await this.stage.close();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #readLog(): readonly string[] {
    try {
      return readFileSync(this.#logFile, "utf8").split("\n").slice(0, -1);
    } catch {
      return [];
    }
  }

  /** `reviews:80` → where a client connects to. */
  #authority(to: string): string {
    const [host = "", port] = to.split(":");
    const address = host === "api.example.com" ? givenAddress(this.resources) : addresses[host];
    return `${address ?? host}:${port}`;
  }

  #session({ as = "shop/web", from = "10.10.1.10" }: Pick<Ask, "as" | "from">) {
    const key = `${as} ${from}`;
    const held = this.#sessions.get(key);
    if (held !== undefined) return held;
    this.stage.addIps(from);
    const opened = this.stage.client(as, from);
    this.#sessions.set(key, opened);
    return opened;
  }
}
