/** The mesh of a rehearsal: a client's pod, a server's pod behind a service, a policy that lets the one to the other. */
import { generateKeyPairSync } from "node:crypto";
import type { Clock } from "../../shared/base/clock.ts";
import { issueLeaf, issueRoot } from "../../shared/identity/issue.ts";
import type { SecretSource } from "../../shared/identity/secret-source.ts";
import {
  formatSpiffe,
  type SpiffeIdentity,
  spiffePrincipal,
} from "../../shared/identity/spiffe.ts";
import { tlsSettings } from "../../shared/identity/tls-context.ts";
import {
  createWorkloadCertificate,
  type WorkloadCertificate,
} from "../../shared/identity/workload-certificate.ts";
import type { MeshUpdate } from "../../shared/model/mesh-update.ts";
import type { Policy } from "../../shared/model/policy.ts";
import { matchOf } from "../../shared/model/policy-match.ts";
import { type Service, serviceKey, type Workload } from "../../shared/model/workload.ts";
import { ipOf } from "../../shared/net/ip.ts";
import type { ZtunnelConfig } from "../config.ts";

const NAMESPACE = "rehearsal";
const SERVER_PORT = 80;
const VALID_MS = 3_600_000;

/** RFC 5737 addresses: never a pod's, and never dialed, since the rehearsal's network is the loopback. */
export const clientIp = ipOf("192.0.2.1");
export const serverIp = ipOf("192.0.2.2");
const serviceIp = ipOf("192.0.2.3");

export const serviceAddress = { ip: serviceIp, port: SERVER_PORT };
export const serverAddress = { ip: serverIp, port: SERVER_PORT };

const hostname = `server.${NAMESPACE}.svc.cluster.local`;
const policyName = "client-to-server";

export function podInfo(name: "client" | "server") {
  return { name, namespace: NAMESPACE, serviceAccount: name };
}

function workload(config: ZtunnelConfig, name: "client" | "server"): Workload {
  const isServer = name === "server";
  return {
    uid: `${config.clusterId}//Pod/${NAMESPACE}/${name}`,
    name,
    namespace: NAMESPACE,
    addresses: [isServer ? serverIp : clientIp],
    hostname: "",
    network: config.network,
    networkMode: "Standard",
    protocol: "HBONE",
    trustDomain: "cluster.local",
    serviceAccount: name,
    node: config.localNode ?? "",
    canonicalName: name,
    canonicalRevision: "latest",
    workloadType: "deployment",
    workloadName: name,
    nativeTunnel: false,
    services: new Map(
      isServer ? [[serviceKey(NAMESPACE, hostname), new Map([[SERVER_PORT, SERVER_PORT]])]] : [],
    ),
    authorizationPolicies: isServer ? [`${NAMESPACE}/${policyName}`] : [],
    status: "Healthy",
    clusterId: config.clusterId,
    locality: { region: "", zone: "", subzone: "" },
    capacity: 1,
  };
}

function service(config: ZtunnelConfig): Service {
  return {
    name: "server",
    namespace: NAMESPACE,
    hostname,
    subjectAltNames: [],
    weightedWaypoints: [],
    ipFamilies: "Automatic",
    canonical: true,
    ingressUseWaypoint: false,
    visibility: "Public",
    vips: [{ network: config.network, ip: serviceIp }],
    cidrVips: [],
    ports: [{ servicePort: SERVER_PORT, targetPort: SERVER_PORT, appProtocol: "UNKNOWN" }],
  };
}

const policy: Policy = {
  name: policyName,
  namespace: NAMESPACE,
  scope: "WorkloadSelector",
  action: "Allow",
  rules: [
    {
      clauses: [
        {
          matches: [
            matchOf({
              principals: [
                {
                  kind: "exact",
                  value: spiffePrincipal({ trustDomain: "cluster.local", ...podInfo("client") }),
                },
              ],
            }),
          ],
        },
      ],
    },
  ],
  dryRun: false,
};

export function rehearsalMesh(config: ZtunnelConfig): MeshUpdate {
  return {
    addresses: [
      { kind: "workload", workload: workload(config, "client") },
      { kind: "workload", workload: workload(config, "server") },
      { kind: "service", service: service(config) },
    ],
    policies: [policy],
  };
}

/** Certificates of an authority that exists for this call only. */
export function rehearsalSecrets(clock: Clock): SecretSource {
  const now = clock.wallMs();
  const validity = { notBeforeMs: now - VALID_MS, notAfterMs: now + VALID_MS };
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const root = issueRoot(privateKey, NAMESPACE, validity);
  const settings = tlsSettings({ tls12: false, compliancePolicy: undefined });
  const issued = new Map<string, WorkloadCertificate>();
  const certificateOf = (identity: SpiffeIdentity): WorkloadCertificate => {
    const uri = formatSpiffe(identity);
    let certificate = issued.get(uri);
    if (certificate === undefined) {
      const leaf = issueLeaf(
        { certificate: root, privateKey },
        publicKey,
        { uris: [uri] },
        validity,
      );
      certificate = createWorkloadCertificate(
        { identity, leaf, intermediates: [], roots: [root], privateKey },
        settings,
      );
      issued.set(uri, certificate);
    }
    return certificate;
  };
  return {
    fetch: (identity) => Promise.resolve(certificateOf(identity)),
    prefetch: () => undefined,
    forget: () => undefined,
    snapshot: () => [],
    close: () => undefined,
  };
}
