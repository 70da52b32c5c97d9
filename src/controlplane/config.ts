/** Settings of the control plane, decoded once. */
import type { ListenAddress } from "../shared/net/listen-address.ts";
import type { MeshSettings } from "./translate/settings.ts";

export interface ControlPlaneConfig {
  /** File or folder of objects. */
  readonly configPath: string;
  readonly stateDir: string;
  /** Plaintext, without tokens. */
  readonly grpc: ListenAddress;
  readonly secureGrpc: ListenAddress;
  readonly http: ListenAddress;
  readonly monitoring: ListenAddress;
  readonly mesh: MeshSettings;
  /** Streams are asked to reconnect after about this long, so that load spreads over replicas. */
  readonly maxConnectionAgeMs: number;
}
