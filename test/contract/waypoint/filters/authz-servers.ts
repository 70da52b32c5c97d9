/** Authorization servers that do what the request's headers tell them, and keep what they were asked. */
import { once } from "node:events";
import { createServer, request, type Server } from "node:http";
import { connect, createServer as createServer2, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type CheckRequest,
  CheckRequestSchema,
  CheckResponseSchema,
} from "../../../../src/shared/wire/gen/envoy/service/auth/v3/external_auth_pb.js";
import { frameMessage, grpcOutcome } from "../../../../src/waypoint/filters/grpc-unary.ts";
import type {
  HttpCall,
  HttpOutcome,
  UnaryCall,
  UnaryOutcome,
  UpstreamCalls,
} from "../../../../src/waypoint/filters/upstream-calls.ts";
import { Fields } from "../../../../src/waypoint/http/message.ts";

export interface HttpQuestion {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: readonly string[];
  readonly body: string;
}

type HttpAnswer = readonly [
  status: number,
  headers: Readonly<Record<string, string | string[]>>,
  body: string,
];

/** Only these headers differ between proxies without meaning anything. */
const incidental =
  /^(x-request-id|x-envoy-|x-forwarded-|connection|transfer-encoding|date|grpc-|user-agent)/;

export class HttpAuthzServer {
  readonly questions: HttpQuestion[] = [];
  readonly #server: Server;

  private constructor(answers: Readonly<Record<string, HttpAnswer>>) {
    this.#server = createServer((incoming, outgoing) => {
      const chunks: Buffer[] = [];
      incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
      incoming.on("end", () => {
        const headers = Object.entries(incoming.headers)
          .filter(([name]) => !incidental.test(name) || name === "x-envoy-auth-partial-body")
          .map(([name, value]) => `${name}: ${String(value)}`)
          .sort();
        const { method, url } = incoming;
        this.questions.push({ method, url, headers, body: Buffer.concat(chunks).toString("utf8") });
        const [status, fields, body] = answers[String(incoming.headers["x-decide"])] ?? [
          200,
          {},
          "",
        ];
        outgoing.writeHead(status, fields);
        outgoing.end(body);
      });
    });
  }

  static async start(answers: Readonly<Record<string, HttpAnswer>>): Promise<HttpAuthzServer> {
    const server = new HttpAuthzServer(answers);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

type GrpcAnswer =
  | { readonly response: MessageInitShape<typeof CheckResponseSchema> }
  | { readonly status: number };

export class GrpcAuthzServer {
  readonly questions: CheckRequest[] = [];
  readonly #server: Http2Server;

  private constructor(answers: Readonly<Record<string, GrpcAnswer>>) {
    this.#server = createServer2();
    this.#server.on("stream", (stream) => {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const question = fromBinary(CheckRequestSchema, Buffer.concat(chunks).subarray(5));
        this.questions.push(question);
        const decide = question.attributes?.request?.http?.headers["x-decide"] ?? "";
        const answer = answers[decide] ?? { response: { status: { code: 0 } } };
        const status = "status" in answer ? answer.status : 0;
        stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(status) }));
        stream.respond(
          { ":status": 200, "content-type": "application/grpc" },
          { waitForTrailers: true },
        );
        if ("response" in answer)
          stream.write(
            frameMessage(
              toBinary(CheckResponseSchema, create(CheckResponseSchema, answer.response)),
            ),
          );
        stream.end();
      });
    });
  }

  static async start(answers: Readonly<Record<string, GrpcAnswer>>): Promise<GrpcAuthzServer> {
    const server = new GrpcAuthzServer(answers);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.close();
  }
}

/** Our filters' calls, with Node's own clients: clusters have their own tests. */
export function nodeCalls(ports: Readonly<Record<string, number>>): UpstreamCalls {
  return {
    http: (call) => httpCall(call, ports[call.cluster]),
    unary: (call) => unaryCall(call, ports[call.cluster]),
  };
}

async function httpCall(call: HttpCall, port: number | undefined): Promise<HttpOutcome> {
  if (port === undefined) return { kind: "failed", reason: "no-cluster", detail: call.cluster };
  const sent = request({
    host: "127.0.0.1",
    port,
    method: call.method,
    path: call.path,
    headers: { host: call.authority, ...Object.fromEntries(call.fields) },
    agent: false,
  });
  sent.end(call.body);
  try {
    const [response] = (await once(sent, "response")) as [import("node:http").IncomingMessage];
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const fields: [string, string][] = [];
    for (let at = 0; at < response.rawHeaders.length; at += 2)
      fields.push([
        (response.rawHeaders[at] ?? "").toLowerCase(),
        response.rawHeaders[at + 1] ?? "",
      ]);
    return {
      kind: "answer",
      answer: { status: response.statusCode ?? 0, fields, body: Buffer.concat(chunks) },
    };
  } catch (error) {
    return { kind: "failed", reason: "unavailable", detail: String(error) };
  }
}

async function unaryCall(call: UnaryCall, port: number | undefined): Promise<UnaryOutcome> {
  if (port === undefined) return { kind: "failed", reason: "no-cluster", detail: call.cluster };
  const session = connect(`http://127.0.0.1:${port}`);
  session.on("error", () => undefined);
  try {
    const stream = session.request({
      ":method": "POST",
      ":path": `/${call.service}/${call.method}`,
      "content-type": "application/grpc",
      te: "trailers",
    });
    const trailers = new Fields();
    stream.on("trailers", (fields) => {
      for (const [name, value] of Object.entries(fields)) trailers.append(name, String(value));
    });
    stream.end(frameMessage(call.message));
    const chunks: Buffer[] = [];
    for await (const chunk of stream) chunks.push(chunk as Buffer);
    const head = { status: 200, fields: new Fields() };
    return grpcOutcome({ kind: "collected", head, body: Buffer.concat(chunks), trailers });
  } catch (error) {
    return { kind: "failed", reason: "unavailable", detail: String(error) };
  } finally {
    session.close();
  }
}
