/** The matcher of the internal listener: from the address and port of a connection to its chain. */
import { create } from "@bufbuild/protobuf";
import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import {
  ApplicationProtocolInputSchema,
  DestinationIPInputSchema,
  DestinationPortInputSchema,
} from "../../../shared/wire/gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js";
import {
  type IPMatcher_IPRangeMatcherSchema,
  IPMatcherSchema,
} from "../../../shared/wire/gen/xds/type/matcher/v3/ip_pb.js";
import type {
  Matcher_OnMatchSchema,
  MatcherSchema,
} from "../../../shared/wire/gen/xds/type/matcher/v3/matcher_pb.js";
import type { AddressPrefix } from "./services.ts";
import { type Init, pack } from "./wire.ts";

export type MatcherInit = Init<typeof MatcherSchema>;
export type OnMatch = Init<typeof Matcher_OnMatchSchema>;
export type RangeMatcher = Init<typeof IPMatcher_IPRangeMatcherSchema>;

const inputs = {
  ip: { name: "ip", typedConfig: pack(DestinationIPInputSchema) },
  port: { name: "port", typedConfig: pack(DestinationPortInputSchema) },
  protocol: { name: "application-protocol", typedConfig: pack(ApplicationProtocolInputSchema) },
} as const;

export function toChain(name: string): OnMatch {
  return {
    onMatch: {
      case: "action",
      value: {
        name,
        typedConfig: pack(StringValueSchema, create(StringValueSchema, { value: name })),
      },
    },
  };
}

export function toMatcher(value: MatcherInit): OnMatch {
  return { onMatch: { case: "matcher", value } };
}

export function byPort(ports: ReadonlyMap<number, OnMatch>): MatcherInit {
  return exactly(
    inputs.port,
    Object.fromEntries([...ports].map(([port, onMatch]) => [String(port), onMatch])),
  );
}

/** Names of protocols stand in quotes, as the inspector reports them. */
export function byProtocol(http: string, tcp: string): MatcherInit {
  return {
    ...exactly(inputs.protocol, { "'h2c'": toChain(http), "'http/1.1'": toChain(http) }),
    onNoMatch: toChain(tcp),
  };
}

function exactly(
  input: (typeof inputs)[keyof typeof inputs],
  map: Record<string, OnMatch>,
): MatcherInit {
  return {
    matcherType: {
      case: "matcherTree",
      value: { input, treeType: { case: "exactMatchMap", value: { map } } },
    },
  };
}

export function range(addresses: readonly AddressPrefix[], onMatch: OnMatch): RangeMatcher {
  return {
    ranges: addresses.map(({ prefix, length }) => ({ addressPrefix: prefix, prefixLen: length })),
    onMatch,
  };
}

export function byAddress(rangeMatchers: RangeMatcher[]): MatcherInit {
  return {
    matcherType: {
      case: "matcherTree",
      value: {
        input: inputs.ip,
        treeType: {
          case: "customMatch",
          value: { name: "ip", typedConfig: pack(IPMatcherSchema, { rangeMatchers }) },
        },
      },
    },
  };
}
