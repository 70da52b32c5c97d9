/** How this node introduces itself to the control plane (wire/ztunnel.md section 1.2). */
import type { JsonValue, XdsNode } from "../shared/xds/types.ts";
import type { ZtunnelConfig } from "./config.ts";

export function xdsNode(config: ZtunnelConfig): XdsNode {
  const { name = "", namespace = "" } = config.pod;
  const ip = config.localIp ?? "1.1.1.1";
  const metadata: Record<string, JsonValue> = {
    NAME: name,
    NAMESPACE: namespace,
    INSTANCE_IPS: ip,
    NODE_NAME: config.localNode ?? "",
    ...Object.fromEntries(config.proxyMetadata),
  };
  for (const [key, value] of config.proxyMetadataJson) metadata[key] = value as JsonValue;
  // The last part names the default domain whatever CLUSTER_DOMAIN says; control planes do not look at it.
  return { id: `ztunnel~${ip}~${name}.${namespace}~${namespace}.svc.cluster.local`, metadata };
}
