/** Who may see a ServiceEntry, by the mesh configuration's word about its namespace. */
import { type Labels, matchesSelector } from "../../shared/model/enrollment.ts";
import {
  MESH_CONFIG_KEY,
  MESH_CONFIG_NAME,
  type MeshConfig,
  parseMeshConfig,
} from "../../shared/objects/kinds/mesh-config.ts";
import type { ObjectTable } from "./objects.ts";
import type { MeshSettings } from "./settings.ts";

export type EntryVisibility = "Public" | "Namespace" | "None";

type Rules = NonNullable<MeshConfig["serviceEntryVisibility"]>;

const meanings = {
  PUBLIC: "Public",
  NAMESPACE: "Namespace",
  NONE: "None",
  UNSPECIFIED: "Public",
} as const;

export class VisibilityRules {
  readonly #rules: Rules | undefined;

  constructor(rules: Rules | undefined) {
    this.#rules = rules;
  }

  /** The first policy of which every rule matches; a policy without rules matches all. */
  visibilityFor(namespaceLabels: Labels): EntryVisibility {
    const rules = this.#rules;
    if (rules === undefined) return "Public";
    const policy = rules.policies.find(({ matchingRules }) =>
      matchingRules.every(
        ({ namespaceSelector }) =>
          namespaceSelector !== undefined && matchesSelector(namespaceSelector, namespaceLabels),
      ),
    );
    return meanings[policy?.visibility ?? rules.defaultVisibility];
  }
}

export function visibilityRules(objects: ObjectTable, settings: MeshSettings): VisibilityRules {
  const text = objects.find("ConfigMap", settings.rootNamespace, MESH_CONFIG_NAME)?.data[
    MESH_CONFIG_KEY
  ];
  return new VisibilityRules(
    text === undefined ? undefined : parseMeshConfig(text, [])?.serviceEntryVisibility,
  );
}
