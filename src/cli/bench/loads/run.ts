/** Runs one load against a stack and says what it cost. */
import type { LoadName, Sample } from "../spec.ts";
import { bulk } from "./bulk.ts";
import type { LoadContext } from "./context.ts";
import { grpcStreams } from "./grpc.ts";
import { idle } from "./idle.ts";
import { besideBulk, coldRequests, connections, mixedSizes, requests } from "./requests.ts";
import { fixedRate, http2 } from "./streams.ts";

export function runLoad(name: LoadName, context: LoadContext): Promise<readonly Sample[]> {
  switch (name) {
    case "cold":
      return coldRequests(name, context, { connections: 32 });
    case "bulk-1":
      return bulk(name, 1, context);
    case "bulk-4":
      return bulk(name, 4, context);
    case "http-1":
      return requests(name, context, { connections: 1 });
    case "http-32":
      return requests(name, context, { connections: 32 });
    case "http-256":
      return requests(name, context, { connections: 256 });
    case "rate-1":
      return fixedRate(name, 1, context);
    case "rate-32":
      return fixedRate(name, 32, context);
    case "rate-256":
      return fixedRate(name, 256, context);
    case "connections":
      return connections(context);
    case "http2":
      return http2(context);
    case "grpc":
      return grpcStreams(context);
    case "beside-bulk":
      return besideBulk(context);
    case "sizes":
      return requests(name, context, { connections: 16, path: "/", choose: mixedSizes });
    case "idle":
      return idle(context);
  }
}
