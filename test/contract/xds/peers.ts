/** Raw delta clients of two gRPC implementations behind one face; they answer nothing by themselves. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { cacheDir } from "../../support/cache.ts";
import { DeltaClient, type RequestFields } from "../../support/delta-client.ts";

export interface Answer {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly {
    readonly name: string;
    readonly version: string;
    readonly aliases: readonly string[];
    readonly typeUrl: string;
    /** The payload in hexadecimal. */
    readonly bytes: string;
  }[];
  readonly removed: readonly string[];
}

export interface Peer {
  send(fields: RequestFields): void;
  /** The next response; rejects with the status when the stream ends, or when nothing comes. */
  next(): Promise<Answer>;
  /** Whether nothing comes for so long. */
  nothing(quietMs: number): Promise<boolean>;
  close(): void;
}

export interface PeerKind {
  readonly name: string;
  readonly missing: false | string;
  readonly version: string;
  connect(address: string): Peer;
}

class GrpcJsPeer implements Peer {
  readonly #client: DeltaClient;

  constructor(address: string) {
    this.#client = new DeltaClient(address);
  }

  send(fields: RequestFields): void {
    this.#client.send(fields);
  }

  async next(): Promise<Answer> {
    const { typeUrl, nonce, resources, removedResources } = await this.#client.next();
    return {
      typeUrl,
      nonce,
      resources: resources.map(({ name, version, aliases, resource }) => ({
        name,
        version,
        aliases,
        typeUrl: resource?.typeUrl ?? "",
        bytes: Buffer.from(resource?.value ?? []).toString("hex"),
      })),
      removed: removedResources,
    };
  }

  nothing(quietMs: number): Promise<boolean> {
    return this.#client.nothing(quietMs);
  }

  close(): void {
    this.#client.close();
  }
}

type PythonLine = Answer | { readonly ended: string; readonly details?: string };

class PythonPeer implements Peer {
  readonly #process: ChildProcess;
  readonly #lines: PythonLine[] = [];
  #wake: () => void = () => undefined;

  constructor(address: string) {
    const script = join(import.meta.dirname, "client.py");
    const child = spawn(python, [script, address], { stdio: ["pipe", "pipe", "inherit"] });
    this.#process = child;
    child.stdin.on("error", () => undefined);
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.#lines.push(JSON.parse(line) as PythonLine);
      this.#wake();
    });
  }

  send(fields: RequestFields): void {
    this.#process.stdin?.write(`${JSON.stringify(fields)}\n`);
  }

  async next(): Promise<Answer> {
    const deadline = Date.now() + 10_000;
    while (this.#lines.length === 0) {
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error("no response in time");
      await this.#line(leftMs);
    }
    const line = this.#lines.shift();
    if (line !== undefined && "nonce" in line) return line;
    throw new Error(`stream ended: ${line?.ended} ${line?.details ?? ""}`);
  }

  async nothing(quietMs: number): Promise<boolean> {
    const end = Date.now() + quietMs;
    while (Date.now() < end && this.#lines.length === 0) await this.#line(end - Date.now());
    return this.#lines.length === 0;
  }

  close(): void {
    this.#process.kill("SIGKILL");
  }

  async #line(timeoutMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, timeoutMs);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const python = process.env["XDS_PYTHON"] || join(cacheDir, "xds-python-1", "bin", "python3");

function pythonVersion(): string {
  if (!existsSync(python)) return "";
  const script = "import grpc, envoy.service.discovery.v3.ads_pb2_grpc; print(grpc.__version__)";
  return spawnSync(python, ["-c", script], { encoding: "utf8" }).stdout.trim();
}

export const grpcJs: PeerKind = {
  name: "grpc-js",
  missing: false,
  version: "as in package-lock.json",
  connect: (address) => new GrpcJsPeer(address),
};

export function pythonGrpc(): PeerKind {
  const version = pythonVersion();
  return {
    name: "Python's grpc",
    missing:
      version === ""
        ? `Python's grpc is not installed: no ${python} with grpcio and xds-protos, and XDS_PYTHON names none`
        : false,
    version: `grpcio ${version} with the messages of xds-protos`,
    connect: (address) => new PythonPeer(address),
  };
}
