/** One delta ADS stream over grpc-js: requests out, responses in, and how it ended. Knows nothing of what they mean. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, connectivityState, status } from "@grpc/grpc-js";
import type { Clock } from "../base/clock.ts";
import { describeError } from "../base/errors.ts";
import { CONNECT_TIMEOUT_MS, callMetadata, grpcTarget } from "../grpc/channel.ts";
import type { GrpcEndpointOptions } from "../grpc/types.ts";
import {
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
} from "../wire/gen/envoy/service/discovery/v3/discovery_pb.js";
import type { StreamEnd } from "./reconnect.ts";
import type { DeltaRequest } from "./types.ts";

const METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

export interface DeltaStreamHandlers {
  /** A throw ends the stream as `failed`. */
  readonly onResponse: (response: DeltaDiscoveryResponse, bytes: number) => void;
  /** Exactly once. */
  readonly onEnd: (end: StreamEnd) => void;
}

export interface DeltaStream {
  send(request: DeltaRequest): void;
  /** Cancels the stream; no handler is called afterwards. */
  close(): void;
}

export type OpenDeltaStream = (handlers: DeltaStreamHandlers) => DeltaStream;

function encodeRequest(request: DeltaRequest): Uint8Array {
  return toBinary(
    DeltaDiscoveryRequestSchema,
    create(DeltaDiscoveryRequestSchema, {
      typeUrl: request.typeUrl,
      resourceNamesSubscribe: [...(request.subscribe ?? [])],
      resourceNamesUnsubscribe: [...(request.unsubscribe ?? [])],
      initialResourceVersions: Object.fromEntries(request.initialVersions ?? []),
      responseNonce: request.nonce ?? "",
      ...(request.node && {
        // A Struct and JSON are the same thing here; the generated type is only stricter about readonly.
        node: {
          id: request.node.id,
          cluster: request.node.cluster ?? "",
          metadata: structuredClone(request.node.metadata) as never,
        },
      }),
      ...(request.error !== undefined && { errorDetail: { code: 0, message: request.error } }),
    }),
  );
}

interface Incoming {
  readonly response: DeltaDiscoveryResponse;
  readonly bytes: number;
}

/**
 * Every stream gets a channel of its own, so that roots and addresses are read again on each reconnect. Throws when roots or
 * token cannot be read.
 */
export function openDeltaStream(
  endpoint: GrpcEndpointOptions,
  clock: Pick<Clock, "after">,
  handlers: DeltaStreamHandlers,
): DeltaStream {
  const metadata = callMetadata(endpoint);
  const { target, credentials, options } = grpcTarget(endpoint);
  const client = new Client(target, credentials, options);
  const call = client.makeBidiStreamRequest<DeltaRequest, Incoming>(
    METHOD,
    (request) => Buffer.from(encodeRequest(request)),
    (bytes) => ({
      response: fromBinary(DeltaDiscoveryResponseSchema, bytes),
      bytes: bytes.length,
    }),
    metadata,
  );
  let phase: "opening" | "open" | "ended" = "opening";
  const finish = (end: StreamEnd | undefined): void => {
    if (phase === "ended") return;
    phase = "ended";
    deadline.cancel();
    call.cancel();
    client.close();
    if (end !== undefined) handlers.onEnd(end);
  };
  const deadline = clock.after(CONNECT_TIMEOUT_MS, () => {
    if (client.getChannel().getConnectivityState(false) === connectivityState.READY) return;
    finish({
      kind: "not-opened",
      error: `no connection to ${target} within ${CONNECT_TIMEOUT_MS} ms`,
    });
  });
  call.on("metadata", () => {
    if (phase === "opening") phase = "open";
  });
  call.on("data", ({ response, bytes }: Incoming) => {
    if (phase === "ended") return;
    phase = "open";
    try {
      handlers.onResponse(response, bytes);
    } catch (thrown) {
      finish({ kind: "failed", error: describeError(thrown) });
    }
  });
  // The status event says the same and more; without a listener an error would be thrown.
  call.on("error", () => undefined);
  call.on("status", ({ code, details }) => {
    if (code === status.OK) finish({ kind: "complete" });
    else if (phase === "opening")
      finish({ kind: "not-opened", error: `gRPC status ${code}: ${details}` });
    else finish({ kind: "status", code, details });
  });
  return {
    send: (request) => {
      if (phase !== "ended") call.write(request);
    },
    close: () => finish(undefined),
  };
}
