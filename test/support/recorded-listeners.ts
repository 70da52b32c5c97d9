/** Listeners recorded from the reference control plane, and what stands in them. */
import { readFileSync } from "node:fs";
import { fromBinary } from "@bufbuild/protobuf";
import {
  type Listener,
  ListenerSchema,
} from "../../src/shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import {
  type HttpConnectionManager,
  HttpConnectionManagerSchema,
} from "../../src/shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { DeltaDiscoveryResponseSchema } from "../../src/shared/wire/gen/envoy/service/discovery/v3/discovery_pb.js";

export function recordedListeners(golden: string): Listener[] {
  const bytes = readFileSync(`test/golden/${golden}/waypoint/Listener.binpb`);
  const { resources } = fromBinary(DeltaDiscoveryResponseSchema, bytes);
  return resources.map(({ resource }) =>
    fromBinary(ListenerSchema, resource?.value ?? new Uint8Array()),
  );
}

export function httpManagers(listener: Listener): HttpConnectionManager[] {
  const type = `type.googleapis.com/${HttpConnectionManagerSchema.typeName}`;
  return listener.filterChains
    .flatMap(({ filters }) => filters)
    .flatMap(({ configType }) =>
      configType.case === "typedConfig" && configType.value.typeUrl === type
        ? [fromBinary(HttpConnectionManagerSchema, configType.value.value)]
        : [],
    );
}
