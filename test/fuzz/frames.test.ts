/** The frame reader: refuses with a ConnectionError or reports events, and the same ones however the octets are split. */
import assert from "node:assert/strict";
import { ConnectionError } from "../../src/shared/hbone/http2/errors.ts";
import { FrameReader, type FrameSink } from "../../src/shared/hbone/http2/frame-reader.ts";
import { rawFrame } from "../support/hbone.ts";
import { fuzz } from "./harness.ts";

const limits = { maxFrameBytes: 16_384, maxBlockBytes: 2048, preface: false };

/** Writes events down as text; payloads as one sum, for they come in pieces. */
class Recorder implements FrameSink {
  readonly events: string[] = [];
  payloadBytes = 0;
  sum = 0;

  data(streamId: number, flowBytes: number, payloadBytes: number): void {
    assert.ok(streamId > 0 && flowBytes >= payloadBytes && payloadBytes >= 0);
    this.events.push(`data ${streamId} ${flowBytes} ${payloadBytes}`);
  }
  payload(bytes: Buffer, start: number, end: number): void {
    assert.ok(start >= 0 && end > start && end <= bytes.length);
    this.payloadBytes += end - start;
    this.#add(bytes, start, end);
  }
  dataEnd(streamId: number, endStream: boolean): void {
    this.events.push(`end ${streamId} ${endStream} ${this.sum}`);
  }
  headers(id: number, bytes: Uint8Array, start: number, end: number, endStream: boolean): void {
    assert.ok(end >= start && end <= bytes.length && end - start <= limits.maxBlockBytes);
    this.#add(bytes, start, end);
    this.events.push(`headers ${id} ${end - start} ${endStream} ${this.sum}`);
  }
  peerReset(streamId: number, code: number): void {
    this.events.push(`reset ${streamId} ${code}`);
  }
  settings(bytes: Uint8Array, start: number, end: number): void {
    assert.ok((end - start) % 6 === 0 && end <= Math.max(bytes.length, end));
    this.events.push(`settings ${end - start}`);
  }
  settingsAck(): void {
    this.events.push("ack");
  }
  ping(ack: boolean, bytes: Uint8Array, start: number): void {
    assert.ok(start + 8 <= bytes.length);
    this.events.push(`ping ${ack}`);
  }
  goAway(lastStreamId: number, code: number): void {
    this.events.push(`goaway ${lastStreamId} ${code}`);
  }
  windowUpdate(streamId: number, increment: number): void {
    this.events.push(`window ${streamId} ${increment}`);
  }
  ignored(): void {
    this.events.push("ignored");
  }

  #add(bytes: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at++) this.sum = (this.sum * 31 + (bytes[at] ?? 0)) | 0;
  }
}

function read(pieces: readonly Buffer[]): Recorder {
  const recorder = new Recorder();
  const reader = new FrameReader(recorder, limits);
  try {
    for (const piece of pieces) reader.feed(piece, 0, piece.length);
  } catch (thrown) {
    if (!(thrown instanceof ConnectionError)) throw thrown;
    assert.ok(thrown.code > 0 && thrown.code <= 0xd);
    recorder.events.push(`error ${thrown.code}: ${thrown.message.replace(/\d+/g, "N")}`);
  }
  return recorder;
}

function run(input: Buffer): string {
  const whole = read([input]);
  assert.ok(whole.payloadBytes <= input.length);
  const first = (input[0] ?? 0) % (input.length + 1);
  const second = first + (((input.at(-1) ?? 0) * 7) % (input.length - first + 1));
  const cut = [input.subarray(0, first), input.subarray(first, second), input.subarray(second)];
  assert.deepEqual(read(cut).events, whole.events);
  if (input.length < 100)
    assert.deepEqual(read([...input].map((octet) => Buffer.from([octet]))).events, whole.events);
  const kinds = whole.events.map((event) => event.replace(/ -?\d.*/, ""));
  return [...new Set(kinds)].join(",");
}

const emptySettings = rawFrame(4, 0, 0);
fuzz({
  name: "frames",
  run,
  dictionary: [
    emptySettings,
    rawFrame(0, 1, 1, "61"),
    rawFrame(0, 8, 1, "0161ff"),
    rawFrame(1, 4, 1, "82"),
    rawFrame(1, 0, 1, "82"),
    rawFrame(1, 0x2c, 3, "0280000001ff820000"),
    rawFrame(9, 4, 1, "82"),
    rawFrame(2, 0, 1, "0000000010"),
    rawFrame(3, 0, 1, "00000008"),
    rawFrame(4, 1, 0),
    rawFrame(5, 4, 1, "00000002"),
    rawFrame(6, 0, 0, "0000000000000000"),
    rawFrame(7, 0, 0, "0000000000000000"),
    rawFrame(8, 0, 1, "00000001"),
  ],
});
