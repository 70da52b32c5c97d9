/** Frames and header blocks of HBONE. */
import { HpackDecoder } from "../../../shared/hbone/hpack/decoder.ts";
import { HpackEncoder } from "../../../shared/hbone/hpack/encoder.ts";
import { FrameReader, type FrameSink } from "../../../shared/hbone/http2/frame-reader.ts";
import {
  frameFlag,
  frameHeaderBytes,
  frameType,
  putFrameHeader,
} from "../../../shared/hbone/http2/frames.ts";
import type { HeaderField } from "../../../shared/hbone/tunnel.ts";
import { casesOf, type MicroCase, type Work } from "./measure.ts";

/** What a ztunnel writes to open a tunnel. */
const connectFields: readonly HeaderField[] = [
  [":method", "CONNECT"],
  [":authority", "10.244.1.17:8080"],
  [
    "baggage",
    "k8s.cluster.name=Kubernetes,k8s.namespace.name=shop,k8s.deployment.name=web,service.name=web,service.version=v1",
  ],
  ["forwarded", 'for="10.244.2.9:45678";host=orders.shop.svc.cluster.local'],
  ["traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"],
];

/** What a browser's request has, nothing of it known to the peer. */
const requestFields: readonly HeaderField[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/catalog/items/1234?expand=price"],
  [":authority", "catalog.shop.svc.cluster.local"],
  ["user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0"],
  ["accept", "application/json"],
  ["accept-encoding", "gzip, deflate, br"],
  ["x-request-id", "a9d8c7b6-1234-4abc-9def-0123456789ab"],
  ["cookie", "session=0123456789abcdef0123456789abcdef"],
];

class Counter implements FrameSink {
  seen = 0;
  data(_streamId: number, flowBytes: number): void {
    this.seen += flowBytes;
  }
  payload(_bytes: Buffer, start: number, end: number): void {
    this.seen += end - start;
  }
  dataEnd(): void {
    this.seen++;
  }
  headers(_streamId: number, _bytes: Uint8Array, start: number, end: number): void {
    this.seen += end - start;
  }
  peerReset(): void {
    this.seen++;
  }
  settings(): void {
    this.seen++;
  }
  settingsAck(): void {
    this.seen++;
  }
  ping(): void {
    this.seen++;
  }
  goAway(): void {
    this.seen++;
  }
  windowUpdate(): void {
    this.seen++;
  }
  ignored(): void {
    this.seen++;
  }
}

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(frameHeaderBytes + payload.length);
  putFrameHeader(bytes, 0, payload.length, type, flags, streamId);
  bytes.set(payload, frameHeaderBytes);
  return bytes;
}

/** Reads these octets again and again on one session. */
function reading(octets: Buffer): () => Work {
  return () => {
    const sink = new Counter();
    const limits = { maxFrameBytes: 1 << 20, maxBlockBytes: 65_536, preface: false };
    const reader = new FrameReader(sink, limits);
    const settings = frame(frameType.settings, 0, 0, Buffer.alloc(0));
    reader.feed(settings, 0, settings.length);
    return (times) => {
      for (let time = 0; time < times; time++) reader.feed(octets, 0, octets.length);
      return sink.seen;
    };
  };
}

const smallData = frame(frameType.data, 0, 1, Buffer.alloc(1_024));
const largeData = frame(frameType.data, 0, 1, Buffer.alloc(65_536));
const windowUpdate = frame(frameType.windowUpdate, 0, 1, Buffer.from([0, 1, 0, 0]));
const heads = frame(
  frameType.headers,
  frameFlag.endHeaders,
  1,
  Buffer.from(new HpackEncoder().encode(connectFields)),
);

function writing(payloadBytes: number): () => Work {
  return () => {
    const block = Buffer.alloc(frameHeaderBytes + payloadBytes);
    const payload = Buffer.alloc(payloadBytes, 7);
    return (times) => {
      for (let time = 0; time < times; time++) {
        putFrameHeader(block, 0, payloadBytes, frameType.data, 0, time & 0xffff);
        payload.copy(block, frameHeaderBytes);
      }
      return block.readUIntBE(0, 3);
    };
  };
}

function encoding(fields: readonly HeaderField[]): () => Work {
  return () => {
    const encoder = new HpackEncoder();
    return (times) => {
      let octets = 0;
      for (let time = 0; time < times; time++) octets += encoder.encode(fields).length;
      return octets;
    };
  };
}

function decoding(fields: readonly HeaderField[]): () => Work {
  return () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(65_536);
    // The second block refers to what the first has put into the table, as all but the first of a session do.
    const first = Buffer.from(encoder.encode(fields));
    decoder.decode(first, 0, first.length);
    const block = Buffer.from(encoder.encode(fields));
    return (times) => {
      let found = 0;
      for (let time = 0; time < times; time++)
        found += decoder.decodeFlat(block, 0, block.length).flat.length;
      return found;
    };
  };
}

export const frameCases: readonly MicroCase[] = [
  ...casesOf("frames", [
    ["read DATA of 1 KB", reading(smallData)],
    ["read DATA of 64 KB", reading(largeData)],
    ["read WINDOW_UPDATE", reading(windowUpdate)],
    ["read HEADERS of a CONNECT", reading(heads)],
    ["write DATA of 1 KB, with its copy", writing(1_024)],
  ]),
  ...casesOf("HPACK", [
    ["encode a CONNECT", encoding(connectFields)],
    ["decode a CONNECT", decoding(connectFields)],
    ["encode a request", encoding(requestFields)],
    ["decode a request", decoding(requestFields)],
  ]),
];
