import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { randomId, randomRequestId } from "../../../../../src/waypoint/telemetry/tracing/ids.ts";
import {
  idFraction,
  isTraced,
  traceReason,
  withTraceReason,
} from "../../../../../src/waypoint/telemetry/tracing/request-id.ts";
import { decideTrace } from "../../../../../src/waypoint/telemetry/tracing/sampling.ts";
import { tracingConfig } from "../../../../support/trace-configs.ts";

/** The first 32 bits are 0x00001388: 5000 of 10000. */
const HALF = "00001388-0000-4000-8000-000000000000";

function decide(
  percents: Parameters<typeof tracingConfig>[0],
  facts: Partial<Parameters<typeof decideTrace>[1]> = {},
  random = 0.5,
): string {
  return decideTrace(
    tracingConfig(percents),
    { requestId: HALF, clientTraceId: false, forced: false, ...facts },
    () => random,
  );
}

describe("the sampling decision", () => {
  it("follows the request's id", () => {
    assert.equal(decide({ randomSamplingPercent: 50.01 }), "sampled");
    assert.equal(decide({ randomSamplingPercent: 50 }), "none");
    assert.equal(decide({ randomSamplingPercent: 0 }), "none");
    assert.equal(decide({}), "sampled");
  });

  it("keeps what the id says, below the overall share", () => {
    const marked = { requestId: withTraceReason(HALF, "sampled") };
    assert.equal(decide({ randomSamplingPercent: 0 }, marked), "sampled");
    assert.equal(decide({ overallSamplingPercent: 10 }, marked), "none");
  });

  it("lets clients and services ask", () => {
    const off = { randomSamplingPercent: 0 };
    assert.equal(decide(off, { clientTraceId: true }), "client-forced");
    assert.equal(
      decide({ ...off, clientSamplingPercent: 50 }, { clientTraceId: true }, 0.7),
      "none",
    );
    assert.equal(decide(off, { forced: true }), "service-forced");
  });

  it("traces nothing without an id that can be read, all when the id does not matter", () => {
    assert.equal(decide({}, { requestId: undefined }), "none");
    assert.equal(decide({}, { requestId: "my-own-id" }), "none");
    assert.equal(decide({ sampleByRequestId: false, randomSamplingPercent: 0 }), "sampled");
  });
});

describe("request ids", () => {
  it("carry what became of the trace in their version digit", () => {
    for (const reason of ["none", "sampled", "service-forced", "client-forced"] as const)
      assert.equal(traceReason(withTraceReason(HALF, reason)), reason);
    assert.equal(withTraceReason(HALF, "sampled"), "00001388-0000-9000-8000-000000000000");
    assert.equal(withTraceReason("short", "sampled"), "short");
    assert.equal(isTraced("short"), false);
    assert.equal(isTraced(undefined), false);
  });

  it("are ordinary random UUIDs when they are made here", () => {
    const id = randomRequestId();
    assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.equal(idFraction("ffffffff-", 100), (0xffffffff % 100) / 100);
  });

  it("do not repeat", () => {
    const ids = new Set(Array.from({ length: 2000 }, () => randomId(8)));
    assert.equal(ids.size, 2000);
    assert.match(randomId(16), /^[0-9a-f]{32}$/);
  });
});
