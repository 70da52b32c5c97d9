/** A server codec whose requests are noted down and answered by the test. */
import { systemClock } from "../../../src/shared/base/clock.ts";
import { Http1Server } from "../../../src/waypoint/http/http1/server.ts";
import { Fields, type RequestHead } from "../../../src/waypoint/http/message.ts";
import type { RefusedRequest, ServerStream } from "../../../src/waypoint/http/stream.ts";
import type { HttpSettings } from "../../../src/waypoint/model/chain.ts";
import { downstream } from "../stream-record.ts";
import { plainSettings } from "./chains.ts";
import { FakeTransport } from "./fake-transport.ts";

export interface SeenRequest {
  readonly head: RequestHead;
  readonly endStream: boolean;
  readonly stream: ServerStream;
  body: string;
  trailers: readonly string[] | undefined;
  ended: boolean;
  reset: string | undefined;
  writable: number;
}

export class ServerUnderTest {
  readonly transport = new FakeTransport();
  readonly requests: SeenRequest[] = [];
  readonly refused: RefusedRequest[] = [];
  readonly server: Http1Server;
  /** What a receiver's `body` answers. */
  takesMore = true;
  /** Answers each request as soon as it is whole. */
  answers: ((request: SeenRequest) => void) | undefined;

  constructor(settings: Partial<HttpSettings> = {}, clock = systemClock) {
    this.server = new Http1Server(
      this.transport,
      { ...plainSettings, ...settings },
      {
        clock,
        connection: downstream(),
        refused: (refused) => this.refused.push(refused),
        accept: (head, endStream, stream) => {
          const seen: SeenRequest = {
            head,
            endStream,
            stream,
            body: "",
            trailers: undefined,
            ended: endStream,
            reset: undefined,
            writable: 0,
          };
          this.requests.push(seen);
          if (endStream) this.answers?.(seen);
          return {
            body: (bytes, start, end) => {
              seen.body += bytes.toString("latin1", start, end);
              return this.takesMore;
            },
            end: (trailers) => {
              seen.ended = true;
              seen.trailers = trailers?.flat;
              this.answers?.(seen);
            },
            reset: (reason) => {
              seen.reset = reason.kind;
            },
            writable: () => {
              seen.writable++;
            },
          };
        },
      },
    );
    this.server.start();
  }
}

/** A short answer with a body of known length. */
export function answerOk({ stream }: SeenRequest, body = "ok"): void {
  const fields = new Fields(["content-length", String(body.length)]);
  stream.head({ status: 200, fields }, false);
  const bytes = Buffer.from(body, "latin1");
  stream.body(bytes, 0, bytes.length);
  stream.end(undefined);
}

/** Joined output leaves at the end of the callback, or with the next microtask. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
