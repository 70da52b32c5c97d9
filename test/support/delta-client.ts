/** A raw delta xDS client: sends what the test says, answers nothing by itself. */
import { create } from "@bufbuild/protobuf";
import {
  Client,
  type ClientDuplexStream,
  credentials,
  type Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { deltaResourcesMethod } from "../../src/controlplane/push/discovery-server.ts";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from "../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";

export const ztunnelNode = {
  id: "ztunnel~10.10.1.1~ztunnel-node1.istio-system~istio-system.svc.cluster.local",
  metadata: { NAMESPACE: "istio-system", NODE_NAME: "node1" },
};

export interface RequestFields {
  readonly typeUrl: string;
  readonly node?: { readonly id: string; readonly metadata: Record<string, string> };
  readonly subscribe?: readonly string[];
  readonly unsubscribe?: readonly string[];
  readonly versions?: Readonly<Record<string, string>>;
  readonly nonce?: string;
  readonly error?: string;
}

export class DeltaClient {
  readonly #client: Client;
  readonly #stream: ClientDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
  readonly #received: DeltaDiscoveryResponse[] = [];
  readonly #waiting: (() => void)[] = [];
  #failure: ServiceError | undefined;

  constructor(address: string, metadata?: Metadata, channel = credentials.createInsecure()) {
    this.#client = new Client(address, channel, {
      "grpc.max_receive_message_length": -1,
      "grpc.use_local_subchannel_pool": 1,
    });
    const { path, requestSerialize, responseDeserialize } = deltaResourcesMethod;
    this.#stream =
      metadata === undefined
        ? this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize)
        : this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    this.#stream.on("data", (response: DeltaDiscoveryResponse) => {
      this.#received.push(response);
      for (const wake of this.#waiting.splice(0)) wake();
    });
    this.#stream.on("error", (error: ServiceError) => {
      this.#failure = error;
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  send(fields: RequestFields): void {
    this.#stream.write(
      create(DeltaDiscoveryRequestSchema, {
        typeUrl: fields.typeUrl,
        ...(fields.node === undefined ? {} : { node: fields.node }),
        resourceNamesSubscribe: [...(fields.subscribe ?? [])],
        resourceNamesUnsubscribe: [...(fields.unsubscribe ?? [])],
        initialResourceVersions: { ...fields.versions },
        responseNonce: fields.nonce ?? "",
        ...(fields.error === undefined ? {} : { errorDetail: { code: 0, message: fields.error } }),
      }),
    );
  }

  ack(response: DeltaDiscoveryResponse): void {
    this.send({ typeUrl: response.typeUrl, nonce: response.nonce });
  }

  /** The next response that was not taken yet. Rejects when the stream ends with an error or nothing comes. */
  async next(timeoutMs = 5000): Promise<DeltaDiscoveryResponse> {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
      const response = this.#received.shift();
      if (response !== undefined) return response;
      if (this.#failure !== undefined) throw this.#failure;
      const leftMs = deadline - Date.now();
      if (leftMs <= 0) throw new Error("no response in time");
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#waiting.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  async nothing(quietMs: number): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, quietMs));
    return this.#received.length === 0;
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): void {
    this.#stream.on("error", () => undefined);
    this.#stream.cancel();
    this.#client.close();
  }
}

export function names(response: DeltaDiscoveryResponse): readonly string[] {
  return response.resources.map(({ name }) => name).sort();
}

export function versions(response: DeltaDiscoveryResponse): Readonly<Record<string, string>> {
  return Object.fromEntries(response.resources.map(({ name, version }) => [name, version]));
}
