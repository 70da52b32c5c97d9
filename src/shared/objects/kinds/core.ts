/**
 * The Kubernetes kinds whose fields the mesh reads, with the API server's defaults filled in. What a user writes is
 * checked strictly; `status` is open, because servers add fields to it over time.
 */
import {
  anything,
  boolean,
  defaulted,
  integer,
  list,
  object,
  oneOf,
  optional,
  port,
  portOrName,
  record,
  required,
  string,
} from "../schema.ts";

const open = { open: true } as const;
const strings = list(string);
export const labels = record(string);

export const ownerReference = object(
  {
    apiVersion: required(string),
    kind: required(string),
    name: required(string),
    uid: optional(string),
    controller: defaulted(boolean, false),
  },
  { ignored: ["blockOwnerDeletion"] },
);

export const metadata = object(
  {
    name: required(string),
    namespace: optional(string),
    uid: optional(string),
    labels: defaulted(labels, {}),
    annotations: defaulted(labels, {}),
    generateName: optional(string),
    creationTimestamp: optional(string),
    deletionTimestamp: optional(string),
    generation: optional(integer(0, Number.MAX_SAFE_INTEGER)),
    ownerReferences: defaulted(list(ownerReference), []),
  },
  {
    ignored: [
      "resourceVersion",
      "selfLink",
      "managedFields",
      "finalizers",
      "deletionGracePeriodSeconds",
    ],
  },
);

export const condition = object(
  {
    type: required(string),
    status: required(string),
    reason: optional(string),
    message: optional(string),
  },
  open,
);

export const namespaceBody = object({ spec: optional(anything), status: optional(anything) });

export const configMapBody = object(
  { data: defaulted(record(string), {}) },
  { ignored: ["binaryData", "immutable"] },
);

export const nodeBody = object({ spec: optional(anything), status: optional(anything) });

export const serviceAccountBody = object(
  {},
  { ignored: ["automountServiceAccountToken", "imagePullSecrets", "secrets"] },
);

const containerPort = object(
  {
    name: optional(string),
    containerPort: required(port),
    protocol: defaulted(oneOf("TCP", "UDP", "SCTP"), "TCP"),
  },
  { ignored: ["hostIP", "hostPort"] },
);

const container = object(
  {
    name: required(string),
    ports: defaulted(list(containerPort), []),
    restartPolicy: optional(string),
  },
  {
    ignored: [
      "args",
      "command",
      "env",
      "envFrom",
      "image",
      "imagePullPolicy",
      "lifecycle",
      "livenessProbe",
      "readinessProbe",
      "resizePolicy",
      "resources",
      "restartPolicyRules",
      "securityContext",
      "startupProbe",
      "stdin",
      "stdinOnce",
      "terminationMessagePath",
      "terminationMessagePolicy",
      "tty",
      "volumeDevices",
      "volumeMounts",
      "workingDir",
    ],
  },
);

const podSpec = object(
  {
    nodeName: defaulted(string, ""),
    serviceAccountName: optional(string),
    serviceAccount: optional(string),
    hostNetwork: defaulted(boolean, false),
    hostname: optional(string),
    subdomain: optional(string),
    containers: defaulted(list(container), []),
    initContainers: defaulted(list(container), []),
  },
  {
    ignored: [
      "activeDeadlineSeconds",
      "affinity",
      "automountServiceAccountToken",
      "dnsConfig",
      "dnsPolicy",
      "enableServiceLinks",
      "ephemeralContainers",
      "hostAliases",
      "hostIPC",
      "hostPID",
      "hostUsers",
      "hostnameOverride",
      "imagePullSecrets",
      "nodeSelector",
      "os",
      "overhead",
      "preemptionPolicy",
      "priority",
      "priorityClassName",
      "readinessGates",
      "resourceClaims",
      "resources",
      "restartPolicy",
      "runtimeClassName",
      "schedulerName",
      "schedulingGates",
      "securityContext",
      "setHostnameAsFQDN",
      "shareProcessNamespace",
      "terminationGracePeriodSeconds",
      "tolerations",
      "topologySpreadConstraints",
      "volumes",
      "workloadRef",
    ],
  },
);

const podStatus = object(
  {
    phase: optional(string),
    podIP: optional(string),
    podIPs: defaulted(list(object({ ip: optional(string) }, open)), []),
    conditions: defaulted(list(condition), []),
  },
  open,
);

const emptyPodStatus = { podIPs: [], conditions: [] };
const emptyPodSpec = { nodeName: "", hostNetwork: false, containers: [], initContainers: [] };

export const podBody = object({
  spec: defaulted(podSpec, emptyPodSpec),
  status: defaulted(podStatus, emptyPodStatus),
});

const servicePort = object(
  {
    name: defaulted(string, ""),
    port: required(port),
    protocol: defaulted(oneOf("TCP", "UDP", "SCTP"), "TCP"),
    targetPort: optional(portOrName),
    appProtocol: optional(string),
  },
  { ignored: ["nodePort"] },
);

const serviceSpec = object(
  {
    type: defaulted(oneOf("ClusterIP", "NodePort", "LoadBalancer", "ExternalName"), "ClusterIP"),
    clusterIP: optional(string),
    clusterIPs: defaulted(strings, []),
    externalIPs: defaulted(strings, []),
    externalName: optional(string),
    selector: defaulted(labels, {}),
    ports: defaulted(list(servicePort), []),
    ipFamilies: defaulted(list(oneOf("IPv4", "IPv6")), []),
    ipFamilyPolicy: optional(oneOf("SingleStack", "PreferDualStack", "RequireDualStack")),
    publishNotReadyAddresses: defaulted(boolean, false),
    internalTrafficPolicy: optional(oneOf("Cluster", "Local")),
    trafficDistribution: optional(string),
  },
  {
    ignored: [
      "allocateLoadBalancerNodePorts",
      "externalTrafficPolicy",
      "healthCheckNodePort",
      "loadBalancerClass",
      "loadBalancerIP",
      "loadBalancerSourceRanges",
      "sessionAffinity",
      "sessionAffinityConfig",
    ],
  },
);

const serviceStatus = object(
  {
    loadBalancer: optional(
      object(
        {
          ingress: defaulted(
            list(object({ ip: optional(string), hostname: optional(string) }, open)),
            [],
          ),
        },
        open,
      ),
    ),
  },
  open,
);

const emptyServiceSpec = {
  type: "ClusterIP",
  clusterIPs: [],
  externalIPs: [],
  selector: {},
  ports: [],
  ipFamilies: [],
  publishNotReadyAddresses: false,
} as const;

export const serviceBody = object({
  spec: defaulted(serviceSpec, emptyServiceSpec),
  status: optional(serviceStatus),
});

const endpointConditions = object({
  ready: optional(boolean),
  serving: optional(boolean),
  terminating: optional(boolean),
});

const objectReference = object(
  {
    kind: optional(string),
    name: optional(string),
    namespace: optional(string),
    uid: optional(string),
  },
  { ignored: ["apiVersion", "fieldPath", "resourceVersion"] },
);

const endpoint = object(
  {
    addresses: required(strings),
    conditions: defaulted(endpointConditions, {}),
    hostname: optional(string),
    nodeName: optional(string),
    targetRef: optional(objectReference),
    zone: optional(string),
  },
  { ignored: ["deprecatedTopology", "hints"] },
);

const endpointPort = object({
  name: optional(string),
  port: optional(port),
  protocol: defaulted(oneOf("TCP", "UDP", "SCTP"), "TCP"),
  appProtocol: optional(string),
});

export const endpointSliceBody = object({
  addressType: required(oneOf("IPv4", "IPv6", "FQDN")),
  endpoints: defaulted(list(endpoint), []),
  ports: defaulted(list(endpointPort), []),
});
