/** Runs a table of requests through both and tells all differences at once. */
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { Asked, Bench } from "./bench.ts";

/** Returns how many requests there were. */
export async function assertSame(
  bench: Bench,
  scenario: string,
  requests: Readonly<Record<string, Asked>>,
  except: (what: string) => boolean = () => false,
): Promise<number> {
  const different: object[] = [];
  for (const [what, asked] of Object.entries(requests)) {
    if (except(what)) continue;
    const envoy = await bench.envoy(scenario, asked);
    const ours = await bench.ours(scenario, asked);
    if (!isDeepStrictEqual(ours, envoy)) different.push({ what, ours, envoy });
  }
  assert.deepEqual(different, []);
  return Object.keys(requests).length;
}
