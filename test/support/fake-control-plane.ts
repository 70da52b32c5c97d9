/** An in-process delta ADS server that does what the test tells it, and remembers every request. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Metadata, Server, ServerCredentials, type ServerDuplexStream } from "@grpc/grpc-js";
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import { AuthorizationSchema } from "../../src/shared/wire/gen/istio/security/authorization_pb.js";
import {
  AddressSchema,
  type ServiceSchema,
  type WorkloadSchema,
} from "../../src/shared/wire/gen/istio/workload/workload_pb.js";
import { addressType, authorizationType } from "../../src/shared/xds/types.ts";

type Call = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;
type ResourceInit = NonNullable<
  MessageInitShape<typeof DeltaDiscoveryResponseSchema>["resources"]
>[number];

export interface FakeStream {
  readonly metadata: Metadata;
  /** The next request that was not taken yet. */
  next(): Promise<DeltaDiscoveryRequest>;
  respond(response: MessageInitShape<typeof DeltaDiscoveryResponseSchema>): void;
  /** Ends the stream, cleanly or with a gRPC status. */
  end(error?: { readonly code: number; readonly details: string }): void;
}

/** A queue that hands out what comes to whoever waits. */
class Mailbox<T> {
  readonly #items: T[] = [];
  readonly #waiting: ((item: T) => void)[] = [];

  put(item: T): void {
    const waiter = this.#waiting.shift();
    if (waiter === undefined) this.#items.push(item);
    else waiter(item);
  }

  take(): Promise<T> {
    const item = this.#items.shift();
    if (item !== undefined) return Promise.resolve(item);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}

export class FakeControlPlane {
  readonly #server = new Server({ "grpc.max_receive_message_length": -1 });
  readonly #streams = new Mailbox<FakeStream>();
  port = 0;
  /** Streams that were opened so far. */
  opened = 0;

  async start(credentials = ServerCredentials.createInsecure(), port = 0): Promise<string> {
    this.#server.addService(
      {
        deltaAggregatedResources: {
          path: "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
          requestStream: true,
          responseStream: true,
          requestDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryRequestSchema, bytes),
          requestSerialize: (message: DeltaDiscoveryRequest) =>
            Buffer.from(toBinary(DeltaDiscoveryRequestSchema, message)),
          responseSerialize: (message: DeltaDiscoveryResponse) =>
            Buffer.from(toBinary(DeltaDiscoveryResponseSchema, message)),
          responseDeserialize: (bytes: Buffer) => fromBinary(DeltaDiscoveryResponseSchema, bytes),
        },
      },
      { deltaAggregatedResources: (call: Call) => this.#streams.put(this.#open(call)) },
    );
    this.port = await new Promise((resolve, reject) => {
      this.#server.bindAsync(`127.0.0.1:${port}`, credentials, (error, bound) =>
        error === null ? resolve(bound) : reject(error),
      );
    });
    return `http://127.0.0.1:${this.port}`;
  }

  #open(call: Call): FakeStream {
    this.opened++;
    const requests = new Mailbox<DeltaDiscoveryRequest>();
    call.on("data", (request: DeltaDiscoveryRequest) => requests.put(request));
    call.on("error", () => undefined);
    return {
      metadata: call.metadata,
      next: () => requests.take(),
      respond: (response) => call.write(create(DeltaDiscoveryResponseSchema, response)),
      end: (error) => (error === undefined ? call.end() : call.emit("error", error)),
    };
  }

  nextStream(): Promise<FakeStream> {
    return this.#streams.take();
  }

  stop(): void {
    this.#server.forceShutdown();
  }
}

export function workloadResource(
  init: MessageInitShape<typeof WorkloadSchema> & { readonly uid: string },
  version = "1",
): ResourceInit {
  const message = create(AddressSchema, { type: { case: "workload", value: init } });
  return {
    name: init.uid,
    version,
    resource: { typeUrl: addressType, value: toBinary(AddressSchema, message) },
  };
}

export function serviceResource(
  init: MessageInitShape<typeof ServiceSchema> & {
    readonly namespace: string;
    readonly hostname: string;
  },
  version = "1",
): ResourceInit {
  const message = create(AddressSchema, { type: { case: "service", value: init } });
  return {
    name: `${init.namespace}/${init.hostname}`,
    version,
    resource: { typeUrl: addressType, value: toBinary(AddressSchema, message) },
  };
}

export function policyResource(
  init: MessageInitShape<typeof AuthorizationSchema> & {
    readonly namespace: string;
    readonly name: string;
  },
): ResourceInit {
  return {
    name: `${init.namespace}/${init.name}`,
    resource: {
      typeUrl: authorizationType,
      value: toBinary(AuthorizationSchema, create(AuthorizationSchema, init)),
    },
  };
}
