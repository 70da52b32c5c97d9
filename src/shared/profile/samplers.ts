/** Runs V8's profilers on this thread and gives what they saw as compressed pprof. Loaded only when somebody profiles. */
import { type HeapProfiler, Session } from "node:inspector/promises";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import type { Clock } from "../base/clock.ts";
import { encodePprof, type StackProfile } from "./pprof.ts";
import { sourceNames } from "./source-names.ts";
import { cpuStacks, heapStacks } from "./v8.ts";

const gzipAsync = promisify(gzip);
const PROGRAM = "ambit";

/** V8's own choice: an allocation is looked at every so many bytes on average. */
const HEAP_INTERVAL_BYTES = 32_768;

function finished(profile: StackProfile): Promise<Uint8Array> {
  return gzipAsync(encodePprof(profile, PROGRAM));
}

function openSession(): Session {
  const session = new Session();
  session.connect();
  return session;
}

/** Rejects with the signal's reason when it aborts. */
export async function sampleCpu(
  clock: Clock,
  options: { readonly seconds: number; readonly frequencyHz: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const session = openSession();
  const startedAtMs = clock.wallMs();
  const { frequencyHz } = options;
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.setSamplingInterval", { interval: Math.round(1e6 / frequencyHz) });
    await session.post("Profiler.start");
    await clock.sleep(options.seconds * 1000, signal);
    const { profile } = await session.post("Profiler.stop");
    return await finished(cpuStacks(profile, { frequencyHz, startedAtMs, find: sourceNames() }));
  } finally {
    session.disconnect();
  }
}

interface Sampling {
  readonly session: Session;
  readonly startedAtMs: number;
}

interface Use {
  readonly sampling: Promise<Sampling>;
  /** Idempotent. */
  readonly release: () => void;
}

/** V8 has one sampler of the heap for all: it runs as long as anybody needs it. */
export class HeapSampler {
  readonly #clock: Clock;
  #users = 0;
  #sampling: Promise<Sampling> | undefined;
  /** Ends what `activate` began. */
  #deactivate: (() => void) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get active(): boolean {
    return this.#deactivate !== undefined;
  }

  /** Samples from now on, until `deactivate`. */
  activate(): void {
    this.#deactivate ??= this.#use().release;
  }

  deactivate(): void {
    this.#deactivate?.();
    this.#deactivate = undefined;
  }

  /** What was allocated since the activation, or, without one, within the next so many seconds; as far as it is still there. */
  async profile(seconds: number, signal: AbortSignal): Promise<Uint8Array> {
    const { sampling, release } = this.#use();
    try {
      if (!this.active) await this.#clock.sleep(seconds * 1000, signal);
      const { session, startedAtMs } = await sampling;
      const { profile } = await session.post("HeapProfiler.getSamplingProfile");
      return await finished(this.#stacks(profile, startedAtMs));
    } finally {
      release();
    }
  }

  #stacks(profile: HeapProfiler.SamplingHeapProfile, startedAtMs: number): StackProfile {
    return heapStacks(profile, {
      intervalBytes: HEAP_INTERVAL_BYTES,
      startedAtMs,
      durationMs: this.#clock.wallMs() - startedAtMs,
      find: sourceNames(),
    });
  }

  #use(): Use {
    this.#users++;
    this.#sampling ??= this.#start();
    const sampling = this.#sampling;
    // Who reads the profile hears of it.
    sampling.catch(() => undefined);
    let used = true;
    const release = (): void => {
      if (!used) return;
      used = false;
      this.#users--;
      if (this.#users === 0) this.#end();
    };
    return { sampling, release };
  }

  async #start(): Promise<Sampling> {
    const session = openSession();
    await session.post("HeapProfiler.startSampling", { samplingInterval: HEAP_INTERVAL_BYTES });
    return { session, startedAtMs: this.#clock.wallMs() };
  }

  /** Disconnecting ends the sampling. */
  #end(): void {
    const sampling = this.#sampling;
    this.#sampling = undefined;
    void sampling?.then(
      ({ session }) => session.disconnect(),
      () => undefined,
    );
  }
}
