/** The part of Istio's mesh configuration (ConfigMap `istio`, key `mesh`) that concerns a node proxy's view of the mesh. */
import { parse } from "yaml";
import { defaulted, type Infer, list, object, oneOf, optional, type Problem } from "../schema.ts";
import { labelSelector } from "./gateway.ts";

export const MESH_CONFIG_NAME = "istio";
export const MESH_CONFIG_KEY = "mesh";

const visibility = oneOf("PUBLIC", "NAMESPACE", "NONE", "UNSPECIFIED");

/** Matchers of a kind we do not know never match, as in the reference. */
const matchingRule = object({ namespaceSelector: optional(labelSelector) }, { open: true });

const visibilityPolicy = object({
  visibility: defaulted(visibility, "UNSPECIFIED"),
  matchingRules: defaulted(list(matchingRule), []),
});

const serviceEntryVisibility = object(
  {
    defaultVisibility: defaulted(visibility, "UNSPECIFIED"),
    policies: defaulted(list(visibilityPolicy), []),
  },
  { ignored: ["applyToSidecars"] },
);

/** Most of the configuration is for proxies of other kinds; what is not listed here is not ours to judge. */
const meshConfig = object(
  { serviceEntryVisibility: optional(serviceEntryVisibility) },
  { open: true },
);

export type MeshConfig = Infer<typeof meshConfig>;

/** Undefined when the text cannot be read; `problems` then says why. */
export function parseMeshConfig(text: string, problems: Problem[]): MeshConfig | undefined {
  const path = ["data", MESH_CONFIG_KEY];
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 100 });
  } catch (thrown) {
    problems.push({ path, reason: thrown instanceof Error ? thrown.message : String(thrown) });
    return undefined;
  }
  return meshConfig.decode(value ?? {}, path, problems);
}
