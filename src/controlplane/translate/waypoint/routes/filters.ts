/** What a route tells filters: faults to inject, and which origins may call across. */

import { grpcStatus } from "../../../../shared/objects/grpc-status.ts";
import type { CorsSpec, FaultSpec } from "../../../../shared/objects/kinds/virtual-service.ts";
import { CorsPolicySchema } from "../../../../shared/wire/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { HTTPFaultSchema } from "../../../../shared/wire/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { FractionalPercent_DenominatorType } from "../../../../shared/wire/gen/envoy/type/v3/percent_pb.js";
import { durationOf, pack } from "../wire.ts";
import { stringMatcher } from "./match.ts";

type Packed = ReturnType<typeof pack>;

const { HUNDRED, MILLION } = FractionalPercent_DenominatorType;

export function percentOf(value: number) {
  return { numerator: Math.floor(value * 10_000), denominator: MILLION };
}

export function wholePercent(value: number) {
  return { numerator: value, denominator: HUNDRED };
}

/** Undefined when nothing that can be injected is asked for. */
export function faultConfig({ delay, abort }: FaultSpec): Packed | undefined {
  const fixed = delay?.fixedDelay;
  const error = abort && abortError(abort);
  if (fixed === undefined && error === undefined) return undefined;
  return pack(HTTPFaultSchema, {
    ...(delay === undefined || fixed === undefined
      ? {}
      : {
          delay: {
            faultDelaySecifier: { case: "fixedDelay", value: durationOf(fixed) },
            percentage:
              delay.percentage === undefined
                ? wholePercent(delay.percent)
                : percentOf(delay.percentage.value),
          },
        }),
    ...(error === undefined
      ? {}
      : {
          abort: {
            errorType: error,
            ...(abort?.percentage === undefined
              ? {}
              : { percentage: percentOf(abort.percentage.value) }),
          },
        }),
  });
}

type Abort = NonNullable<FaultSpec["abort"]>;

function abortError({ httpStatus, grpcStatus: name }: Abort) {
  if (httpStatus !== undefined) return { case: "httpStatus", value: httpStatus } as const;
  if (name === undefined) return undefined;
  return { case: "grpcStatus", value: grpcStatus(name) ?? 0 } as const;
}

export function corsConfig(cors: CorsSpec): Packed {
  const origins =
    cors.allowOrigins.length > 0
      ? cors.allowOrigins.flatMap((origin) => stringMatcher(origin) ?? [])
      : cors.allowOrigin.map((value) => ({ matchPattern: { case: "exact", value } as const }));
  return pack(CorsPolicySchema, {
    allowOriginStringMatch: origins,
    allowMethods: cors.allowMethods.join(","),
    allowHeaders: cors.allowHeaders.join(","),
    exposeHeaders: cors.exposeHeaders.join(","),
    ...(cors.maxAge === undefined ? {} : { maxAge: String(Math.floor(cors.maxAge / 1000)) }),
    ...(cors.allowCredentials === undefined ? {} : { allowCredentials: cors.allowCredentials }),
    filterEnabled: { defaultValue: wholePercent(100) },
    forwardNotMatchingPreflights: cors.unmatchedPreflights !== "IGNORE",
  });
}
