/** Filters' own calls over clusters: one attempt, one answer held in memory within a limit, one deadline. */
import type { Clock } from "../../shared/base/clock.ts";
import { Fields, type RequestHead } from "../http/message.ts";
import type { DownstreamInfo } from "../http/stream.ts";
import type { Clusters } from "../upstream/upstream.ts";
import { type Collected, CollectedCall } from "./collected-call.ts";
import { frameMessage, grpcOutcome } from "./grpc-unary.ts";
import type {
  CallFailure,
  HttpCall,
  HttpOutcome,
  UnaryCall,
  UnaryOutcome,
  UpstreamCalls,
} from "./upstream-calls.ts";

/** Frame headers and trailers of an answer that is one message. */
const GRPC_OVERHEAD_BYTES = 5;

export class ClusterCalls implements UpstreamCalls {
  readonly #clusters: Clusters;
  readonly #clock: Clock;

  constructor(clusters: Clusters, clock: Clock) {
    this.#clusters = clusters;
    this.#clock = clock;
  }

  async http(call: HttpCall): Promise<HttpOutcome> {
    const fields = new Fields();
    for (const [name, value] of call.fields) fields.append(name, value);
    const { body } = call;
    const carriesBody = body !== undefined && body.length > 0;
    if (carriesBody || call.method === "POST" || call.method === "PUT")
      fields.set("content-length", String(body?.length ?? 0));
    const collected = await this.#collect(
      call,
      headOf(call, call.method, call.path, fields),
      carriesBody ? Buffer.from(body.buffer, body.byteOffset, body.length) : undefined,
      call.maxAnswerBytes,
    );
    if (collected.kind === "failed") return collected;
    const { head, body: answerBody } = collected;
    const pairs: (readonly [string, string])[] = [];
    const { flat } = head.fields;
    for (let at = 0; at < flat.length; at += 2) pairs.push([flat[at] ?? "", flat[at + 1] ?? ""]);
    return { kind: "answer", answer: { status: head.status, fields: pairs, body: answerBody } };
  }

  async unary(call: UnaryCall): Promise<UnaryOutcome> {
    const fields = new Fields();
    fields.append("te", "trailers");
    if (call.timeoutMs > 0) fields.append("grpc-timeout", `${Math.ceil(call.timeoutMs)}m`);
    fields.append("content-type", "application/grpc");
    for (const [name, value] of call.metadata) fields.append(name, value);
    const collected = await this.#collect(
      call,
      headOf(call, "POST", `/${call.service}/${call.method}`, fields),
      frameMessage(call.message),
      call.maxAnswerBytes + GRPC_OVERHEAD_BYTES,
    );
    return collected.kind === "failed" ? collected : grpcOutcome(collected);
  }

  #collect(
    call: HttpCall | UnaryCall,
    head: RequestHead,
    body: Buffer | undefined,
    maxAnswerBytes: number,
  ): Promise<Collected> {
    const cluster = this.#clusters.get(call.cluster);
    if (cluster === undefined)
      return Promise.resolve(failed("no-cluster", `there is no cluster ${call.cluster}`));
    const facts = {
      hash: undefined,
      downstream: ourselves,
      downstreamProtocol: undefined,
      tried: [],
      hostSelectionAttempts: 1,
      authority: call.authority,
    };
    const picked = cluster.pick(facts);
    if (picked.kind === "none")
      return Promise.resolve(failed("unavailable", `${call.cluster}: ${picked.details}`));
    const { timeoutMs, signal } = call;
    return new CollectedCall({ maxAnswerBytes, timeoutMs, signal, clock: this.#clock }).run(
      cluster,
      picked.endpoint,
      head,
      body,
      facts,
    );
  }
}

function failed(reason: CallFailure["reason"], detail: string): CallFailure {
  return { kind: "failed", reason, detail };
}

function headOf(
  { authority }: HttpCall | UnaryCall,
  method: string,
  path: string,
  fields: Fields,
): RequestHead {
  return { method, scheme: "http", authority, path, fields, upgrade: undefined };
}

/** These calls belong to no client's connection: nothing of one may choose their endpoint. */
const ourselves: DownstreamInfo = {
  peerPrincipal: undefined,
  localPrincipal: undefined,
  source: { ip: "127.0.0.1", port: 0 },
  destination: { ip: "127.0.0.1", port: 0 },
  connectAuthority: "",
  connectHeaders: [],
  requestedServerName: undefined,
  connectionId: 0,
  startedWallMs: 0,
};
