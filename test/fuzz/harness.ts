/**
 * Fuzzing in a box of time: inputs of the corpus, then mutations of them, until the time is over or an input breaks the
 * target's invariant. What an input led to is its outcome; one that leads to a new outcome joins the pool for further
 * mutation. A run is repeated exactly with the seed that a failure prints.
 *
 *   FUZZ_SECONDS=60 npm test -- test/fuzz/frames.test.ts      longer, from another seed each time
 *   FUZZ_SEED=7                                               from this seed
 *   FUZZ_KEEP=1                                               adds what led to new outcomes to the corpus
 */
import assert from "node:assert/strict";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { test } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { mutate, type Prng, prngOf } from "./mutate.ts";

export interface Target {
  /** Also the folder of its corpus. */
  readonly name: string;
  /** Throws when the invariant does not hold; returns what happened, in few words without values of the input. */
  run(input: Buffer): string | Promise<string>;
  /** More seeds than stand in the corpus. */
  readonly seeds?: readonly Uint8Array[];
  /** Pieces that stand in valid inputs. */
  readonly dictionary?: readonly (string | Uint8Array)[];
  readonly maxBytes?: number;
}

const defaultSeconds = 2;
/** No input of these sizes may take longer; measured anew before it counts, for the machine may just be busy. */
const maxRunMs = 200;
/** What a target may keep after all inputs, once garbage is collected. */
const maxGrowthBytes = 64 * 1024 * 1024;
const maxPool = 1000;

/** Defines the test of a target. */
export function fuzz(target: Target): void {
  const extended = process.env["FUZZ_SECONDS"];
  const seconds = Number(extended ?? defaultSeconds);
  const random = extended === undefined ? 1 : Math.floor(Math.random() * 2 ** 32);
  const seed = Number(process.env["FUZZ_SEED"] ?? random);
  test(`${target.name}: no input breaks it`, {
    timeout: seconds * 1000 + 120_000,
  }, async (context) => {
    const { inputs, outcomes } = await playTarget(target, seed, seconds * 1000);
    context.diagnostic(`${target.name}: ${inputs} inputs, ${outcomes} outcomes, seed ${seed}`);
  });
}

/** Rejects with the smallest input found that breaks the target. */
export async function playTarget(
  target: Target,
  seed: number,
  durationMs: number,
): Promise<{ readonly inputs: number; readonly outcomes: number }> {
  const campaign = new Campaign(target, seed);
  await campaign.play(durationMs);
  if (process.env["FUZZ_KEEP"] !== undefined) keepInCorpus(target.name, campaign.found);
  return { inputs: campaign.inputs, outcomes: campaign.outcomes.size };
}

class Campaign {
  readonly outcomes = new Set<string>();
  /** Inputs that led to new outcomes. */
  readonly found: Buffer[] = [];
  inputs = 0;
  readonly #target: Target;
  readonly #seed: number;
  readonly #prng: Prng;
  readonly #pool: Buffer[] = [];
  readonly #dictionary: readonly Buffer[];

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#seed = seed;
    this.#prng = prngOf(seed);
    this.#dictionary = (target.dictionary ?? []).map((piece) => Buffer.from(piece as string));
  }

  async play(durationMs: number): Promise<void> {
    const seeds = [...readCorpus(this.#target.name), ...(this.#target.seeds ?? [])];
    assert.ok(seeds.length > 0, `no corpus for ${this.#target.name}`);
    for (const seed of seeds) {
      this.#pool.push(Buffer.from(seed));
      this.outcomes.add(await this.#try(Buffer.from(seed)));
    }
    const before = await retainedBytes();
    const end = performance.now() + durationMs;
    const maxBytes = this.#target.maxBytes ?? 4096;
    while (performance.now() < end) {
      const input = mutate(this.#prng, this.#pool, this.#dictionary, maxBytes);
      const outcome = await this.#try(input);
      if (!this.outcomes.has(outcome)) this.#keep(input);
      this.outcomes.add(outcome);
      // Others must have their turn too: timers, sockets, the runner.
      if (this.inputs % 256 === 0) await turn();
    }
    const growth = (await retainedBytes()) - before;
    assert.ok(growth < maxGrowthBytes, `keeps ${growth} bytes after ${this.inputs} inputs`);
  }

  #keep(input: Buffer): void {
    if (this.#pool.length >= maxPool) return;
    this.#pool.push(input);
    this.found.push(input);
  }

  async #try(input: Buffer): Promise<string> {
    this.inputs++;
    const failure = await this.#failureOf(input);
    if (failure.error === undefined) return failure.outcome;
    const smallest = await this.#shrink(input, messageOf(failure.error));
    const report = [
      `${this.#target.name} broke with input ${this.inputs} of seed ${this.#seed}`,
      `add this line to test/fuzz/corpus/${this.#target.name}/regressions.txt:`,
      smallest.toString("hex"),
      `(as text: ${JSON.stringify(smallest.toString("latin1").slice(0, 300))})`,
      String(failure.error),
    ];
    throw new Error(report.join("\n"), { cause: failure.error });
  }

  async #failureOf(input: Buffer): Promise<{ outcome: string; error?: unknown }> {
    // The target may neither change the input nor find room behind it.
    const startMs = performance.now();
    try {
      const outcome = await this.#target.run(Buffer.from(input));
      const tookMs = performance.now() - startMs;
      if (tookMs < maxRunMs || (await this.#quickest(input)) < maxRunMs) return { outcome };
      return { outcome, error: new Error(`takes ${Math.round(tookMs)} ms`) };
    } catch (error) {
      return { outcome: "broken", error };
    }
  }

  async #quickest(input: Buffer): Promise<number> {
    let best = Number.POSITIVE_INFINITY;
    for (let round = 0; round < 3; round++) {
      const startMs = performance.now();
      await this.#target.run(Buffer.from(input));
      best = Math.min(best, performance.now() - startMs);
    }
    return best;
  }

  /** Leaves pieces out as long as the same goes wrong. */
  async #shrink(input: Buffer, message: string): Promise<Buffer> {
    const deadline = performance.now() + 3000;
    let best = input;
    for (let size = best.length >> 1; size > 0; size >>= 1) {
      for (let at = 0; at < best.length && performance.now() < deadline; ) {
        const shorter = Buffer.concat([best.subarray(0, at), best.subarray(at + size)]);
        const { error } = await this.#failureOf(shorter);
        if (error !== undefined && messageOf(error) === message) best = shorter;
        else at += size;
      }
    }
    return best;
  }
}

/** The kind of failure: its first line without the numbers in it. */
function messageOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return (text.split("\n")[0] ?? "").replace(/\d+/g, "N");
}

/** Lines of hexadecimal octets, or of text behind `text `; empty lines and lines with # are for readers. */
function readCorpus(name: string): readonly Buffer[] {
  const dir = join(import.meta.dirname, "corpus", name);
  if (!existsSync(dir)) return [];
  return readdirSync(dir).flatMap((file) =>
    readFileSync(join(dir, file), "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"))
      .map((line) =>
        line.startsWith("text ")
          ? Buffer.from(line.slice(5), "latin1")
          : Buffer.from(line.replaceAll(" ", ""), "hex"),
      ),
  );
}

const maxKept = 40;
const maxKeptBytes = 200;

function keepInCorpus(name: string, found: readonly Buffer[]): void {
  const short = found.filter(({ length }) => length > 0 && length <= maxKeptBytes);
  const spread = short.filter((_, at) => at % Math.ceil(short.length / maxKept) === 0);
  if (spread.length === 0) return;
  const dir = join(import.meta.dirname, "corpus", name);
  mkdirSync(dir, { recursive: true });
  const file = join(dir, "found.txt");
  if (!existsSync(file))
    writeFileSync(file, "# Found by mutation; each led to an outcome of its own.\n");
  appendFileSync(file, spread.map((input) => `${input.toString("hex")}\n`).join(""));
}

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

async function retainedBytes(): Promise<number> {
  // What waits for a turn of the event loop is not kept.
  for (let round = 0; round < 3; round++) {
    await turn();
    collectGarbage();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
