/**
 * The parts of Istio's ProxyConfig that a proxy reads itself: `defaultConfig` of the mesh file, overridden by the variable
 * PROXY_CONFIG; the two metadata maps are merged (wire/ztunnel.md section 10.1). The control plane reads the others.
 */
import { parseDocument } from "yaml";
import { durationMs } from "../base/env.ts";

export interface ProxyConfig {
  readonly discoveryAddress?: string;
  readonly proxyAdminPort?: number;
  readonly statsPort?: number;
  readonly statusPort?: number;
  readonly concurrency?: number;
  readonly terminationDrainMs?: number;
  readonly proxyMetadata: ReadonlyMap<string, string>;
}

export interface ParsedProxyConfig {
  readonly config: ProxyConfig;
  /** PROXY_CONFIG as it is, for the control plane. */
  readonly override: Mapping;
  readonly problems: readonly string[];
}

export type Mapping = Readonly<Record<string, unknown>>;

function isMapping(value: unknown): value is Mapping {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function readYaml(origin: string, text: string, problems: string[]): Mapping {
  const document = parseDocument(text, { logLevel: "error" });
  const [error] = document.errors;
  if (error !== undefined) {
    problems.push(`${origin}: ${error.message.split("\n")[0]}`);
    return {};
  }
  const value: unknown = document.toJS();
  if (isMapping(value)) return value;
  if (value !== null && value !== undefined) problems.push(`${origin}: expected a mapping`);
  return {};
}

function drainDuration(origin: string, value: unknown, problems: string[]): number | undefined {
  if (value === undefined || value === null) return undefined;
  try {
    return durationMs(String(value));
  } catch {
    problems.push(`${origin}.terminationDrainDuration: expected a duration like 5s`);
    return undefined;
  }
}

function decodeProxyConfig(origin: string, raw: unknown, problems: string[]): ProxyConfig {
  if (raw === undefined || raw === null) return { proxyMetadata: new Map() };
  if (!isMapping(raw)) {
    problems.push(`${origin}: expected a mapping`);
    return { proxyMetadata: new Map() };
  }
  const number = (key: string, max: number): number | undefined => {
    const value = raw[key];
    if (value === undefined || value === null) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= max)
      return value;
    problems.push(`${origin}.${key}: expected a whole number from 0 to ${max}`);
    return undefined;
  };
  const discovery = raw["discoveryAddress"];
  if (discovery !== undefined && typeof discovery !== "string")
    problems.push(`${origin}.discoveryAddress: expected a string`);
  const terminationDrainMs = drainDuration(origin, raw["terminationDrainDuration"], problems);
  const metadata = raw["proxyMetadata"];
  if (metadata !== undefined && metadata !== null && !isMapping(metadata))
    problems.push(`${origin}.proxyMetadata: expected a mapping`);
  const adminPort = number("proxyAdminPort", 65535);
  const statsPort = number("statsPort", 65535);
  const statusPort = number("statusPort", 65535);
  const concurrency = number("concurrency", 1024);
  return {
    ...(typeof discovery === "string" ? { discoveryAddress: discovery } : {}),
    ...(adminPort === undefined ? {} : { proxyAdminPort: adminPort }),
    ...(statsPort === undefined ? {} : { statsPort }),
    ...(statusPort === undefined ? {} : { statusPort }),
    ...(terminationDrainMs === undefined ? {} : { terminationDrainMs }),
    ...(concurrency === undefined ? {} : { concurrency }),
    proxyMetadata: new Map(
      Object.entries(isMapping(metadata) ? metadata : {}).map(([key, value]) => [
        key,
        String(value),
      ]),
    ),
  };
}

/** `meshFile` is the text of the mesh file where there is one, `variable` that of PROXY_CONFIG. */
export function parseProxyConfig(
  meshFile: string | undefined,
  variable: string | undefined,
): ParsedProxyConfig {
  const problems: string[] = [];
  const mesh = meshFile === undefined ? {} : readYaml("mesh file", meshFile, problems);
  const base = decodeProxyConfig("mesh file: defaultConfig", mesh["defaultConfig"], problems);
  const overrideRaw = variable === undefined ? {} : readYaml("PROXY_CONFIG", variable, problems);
  const override = decodeProxyConfig("PROXY_CONFIG", overrideRaw, problems);
  return {
    config: {
      ...base,
      ...override,
      proxyMetadata: new Map([...base.proxyMetadata, ...override.proxyMetadata]),
    },
    override: overrideRaw,
    problems,
  };
}
