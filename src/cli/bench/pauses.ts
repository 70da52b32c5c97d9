/**
 * The pauses that the garbage collector makes in our processes. While they are watched, each process writes the length of
 * every pause to a file of its own: eight octets a collection. Being watched costs a few percent, so it is not done while
 * anything else is measured; programs of older versions can be watched as well.
 */
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";

const BYTES_PER_PAUSE = 8;

/** Loaded into every process and its threads before its own code; sleeps until a file appears in the folder `begin`. */
function recorder(folder: string): string {
  return `const { openSync, watch, writeSync } = require("node:fs");
const folder = ${JSON.stringify(folder)};
const watcher = watch(folder + "/begin", { persistent: false }, () => {
  watcher.close();
  const { PerformanceObserver } = require("node:perf_hooks");
  const { threadId } = require("node:worker_threads");
  const file = openSync(folder + "/" + process.pid + "." + threadId, "a");
  const pause = new Float64Array(1);
  new PerformanceObserver((list) => {
    for (const { duration } of list.getEntries()) {
      pause[0] = duration;
      writeSync(file, pause);
    }
  }).observe({ entryTypes: ["gc"] });
});
`;
}

export class PauseRecords {
  readonly #folder: string;
  readonly #script: string;

  /** Everything lies in this folder, which is made. */
  constructor(folder: string) {
    mkdirSync(`${folder}/begin`, { recursive: true });
    this.#folder = folder;
    this.#script = `${folder}/recorder.cjs`;
    writeFileSync(this.#script, recorder(folder));
  }

  /** The command line of a program of Node, with the recorder in it. */
  watched(program: readonly string[]): readonly string[] {
    return [...program.slice(0, -1), "--require", this.#script, ...program.slice(-1)];
  }

  /** From soon on the pauses are written down. */
  begin(): void {
    writeFileSync(`${this.#folder}/begin/now`, "");
  }

  /** Begins to look at processes; the result gives all pauses since then, in milliseconds. */
  since(pids: readonly number[]): () => readonly number[] {
    const before = new Map(this.#filesOf(pids).map((file) => [file, statSync(file).size]));
    return () =>
      this.#filesOf(pids).flatMap((file) => pausesIn(readFileSync(file), before.get(file) ?? 0));
  }

  #filesOf(pids: readonly number[]): readonly string[] {
    const wanted = new Set(pids.map(String));
    return readdirSync(this.#folder)
      .filter((name) => wanted.has(name.split(".")[0] ?? ""))
      .map((name) => `${this.#folder}/${name}`);
  }
}

/** Lengths in a record, from an octet of it on. */
export function pausesIn(record: Buffer, from: number): readonly number[] {
  const pauses: number[] = [];
  for (let at = from; at + BYTES_PER_PAUSE <= record.length; at += BYTES_PER_PAUSE)
    pauses.push(record.readDoubleLE(at));
  return pauses;
}
