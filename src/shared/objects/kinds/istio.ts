/** Istio's kinds whose fields the mesh reads. Every served version of a kind has the same fields. */
import {
  anything,
  defaulted,
  integer,
  list,
  object,
  oneOf,
  optional,
  port,
  record,
  required,
  string,
} from "../schema.ts";
import { condition, labels } from "./core.ts";

const strings = list(string);
const status = optional(object({ conditions: defaulted(list(condition), []) }, { open: true }));
export const workloadSelector = object({ matchLabels: defaulted(labels, {}) });
export const targetRef = object({
  group: defaulted(string, ""),
  kind: required(string),
  name: required(string),
  namespace: optional(string),
});
const mtls = object({
  mode: defaulted(oneOf("UNSET", "DISABLE", "PERMISSIVE", "STRICT"), "UNSET"),
});

const peerAuthenticationSpec = object({
  selector: optional(workloadSelector),
  mtls: optional(mtls),
  portLevelMtls: defaulted(record(mtls), {}),
});

export const peerAuthenticationBody = object({
  spec: defaulted(peerAuthenticationSpec, { portLevelMtls: {} }),
  status,
});

const source = object({
  principals: defaulted(strings, []),
  notPrincipals: defaulted(strings, []),
  requestPrincipals: defaulted(strings, []),
  notRequestPrincipals: defaulted(strings, []),
  namespaces: defaulted(strings, []),
  notNamespaces: defaulted(strings, []),
  serviceAccounts: defaulted(strings, []),
  notServiceAccounts: defaulted(strings, []),
  trustDomains: defaulted(strings, []),
  notTrustDomains: defaulted(strings, []),
  ipBlocks: defaulted(strings, []),
  notIpBlocks: defaulted(strings, []),
  remoteIpBlocks: defaulted(strings, []),
  notRemoteIpBlocks: defaulted(strings, []),
});

const operation = object({
  hosts: defaulted(strings, []),
  notHosts: defaulted(strings, []),
  ports: defaulted(strings, []),
  notPorts: defaulted(strings, []),
  methods: defaulted(strings, []),
  notMethods: defaulted(strings, []),
  paths: defaulted(strings, []),
  notPaths: defaulted(strings, []),
});

const whenCondition = object({
  key: required(string),
  values: defaulted(strings, []),
  notValues: defaulted(strings, []),
});

const authorizationRule = object({
  from: defaulted(list(object({ source: optional(source) })), []),
  to: defaulted(list(object({ operation: optional(operation) })), []),
  when: defaulted(list(whenCondition), []),
});

const authorizationPolicySpec = object({
  selector: optional(workloadSelector),
  targetRef: optional(targetRef),
  targetRefs: defaulted(list(targetRef), []),
  action: defaulted(oneOf("ALLOW", "DENY", "AUDIT", "CUSTOM"), "ALLOW"),
  provider: optional(object({ name: optional(string) })),
  rules: defaulted(list(authorizationRule), []),
});

export const authorizationPolicyBody = object({
  spec: defaulted(authorizationPolicySpec, { targetRefs: [], action: "ALLOW", rules: [] }),
  status,
});

const workloadEntryFields = {
  address: optional(string),
  ports: defaulted(record(port), {}),
  labels: defaulted(labels, {}),
  network: optional(string),
  locality: optional(string),
  weight: optional(integer(0, 4294967295)),
  serviceAccount: optional(string),
};

export const workloadEntrySpec = object(workloadEntryFields);

export const workloadEntryBody = object({ spec: required(workloadEntrySpec), status });

const serviceEntryPort = object({
  number: required(port),
  name: required(string),
  protocol: defaulted(string, ""),
  targetPort: optional(integer(0, 65535)),
});

const serviceEntrySpec = object({
  hosts: required(strings),
  addresses: defaulted(strings, []),
  ports: defaulted(list(serviceEntryPort), []),
  location: defaulted(oneOf("MESH_EXTERNAL", "MESH_INTERNAL"), "MESH_EXTERNAL"),
  resolution: defaulted(oneOf("NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"), "NONE"),
  endpoints: defaulted(list(workloadEntrySpec), []),
  workloadSelector: optional(object({ labels: defaulted(labels, {}) })),
  exportTo: defaulted(strings, []),
  subjectAltNames: defaulted(strings, []),
});

const serviceEntryStatus = object(
  {
    addresses: defaulted(
      list(object({ value: optional(string), host: optional(string) }, { open: true })),
      [],
    ),
    conditions: defaulted(list(condition), []),
  },
  { open: true },
);

export const serviceEntryBody = object({
  spec: required(serviceEntrySpec),
  status: optional(serviceEntryStatus),
});

/** Kinds of the mesh that only a waypoint or a gateway reads: kept whole, looked into when those roles need them. */
export const opaqueBody = object({ spec: optional(anything), status: optional(anything) });
