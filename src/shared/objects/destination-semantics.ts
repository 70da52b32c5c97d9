/** Rules about DestinationRules that a type alone does not state. */
import type { Checker } from "./checks.ts";
import type {
  ConnectionPoolSpec,
  LoadBalancerSpec,
  TrafficPolicySpec,
} from "./kinds/destination-rule.ts";
import type { ObjectOf } from "./kinds.ts";

export function checkDestinationRule(
  { spec }: ObjectOf<"DestinationRule">,
  checker: Checker,
): void {
  const at = checker.at("spec");
  if (spec.host === "") at.refuse("needs a host", "host");
  if (spec.trafficPolicy !== undefined) checkPolicy(spec.trafficPolicy, at.at("trafficPolicy"));
  at.unique(
    spec.subsets.map(({ name }) => name),
    "the subset",
    "subsets",
  );
  spec.subsets.forEach(({ name, trafficPolicy }, index) => {
    if (name === "") at.refuse("needs a name", "subsets", index, "name");
    if (trafficPolicy !== undefined)
      checkPolicy(trafficPolicy, at.at("subsets", index, "trafficPolicy"));
  });
}

type PortPolicy = Omit<TrafficPolicySpec, "portLevelSettings" | "tunnel">;

function checkPolicy(policy: TrafficPolicySpec, at: Checker): void {
  checkParts(policy, at);
  policy.portLevelSettings.forEach((setting, index) => {
    const place = at.at("portLevelSettings", index);
    if (setting.port === undefined) place.refuse("needs a port", "port");
    checkParts(setting, place);
  });
  const { tunnel } = policy;
  if (tunnel !== undefined && tunnel.protocol !== "CONNECT" && tunnel.protocol !== "POST")
    at.refuse("must be CONNECT or POST", "tunnel", "protocol");
}

function checkParts(
  { loadBalancer, connectionPool, outlierDetection, tls }: PortPolicy,
  at: Checker,
) {
  if (loadBalancer !== undefined) checkBalancer(loadBalancer, at.at("loadBalancer"));
  if (connectionPool !== undefined) checkPool(connectionPool, at.at("connectionPool"));
  at.shortest(outlierDetection?.interval, "outlierDetection", "interval");
  at.shortest(outlierDetection?.baseEjectionTime, "outlierDetection", "baseEjectionTime");
  if (tls === undefined) return;
  const files = tls.clientCertificate !== "" && tls.privateKey !== "";
  if (tls.mode === "MUTUAL" && !files && tls.credentialName === "")
    at.refuse("MUTUAL needs clientCertificate and privateKey, or credentialName", "tls");
  if (tls.mode === "ISTIO_MUTUAL" && (tls.clientCertificate + tls.privateKey).length > 0)
    at.refuse("ISTIO_MUTUAL brings its own certificate", "tls");
}

function checkBalancer(balancer: LoadBalancerSpec, at: Checker): void {
  const { simple, consistentHash: hash, localityLbSetting: locality } = balancer;
  if (hash !== undefined) {
    if (simple !== "UNSPECIFIED") at.refuse("takes only one of simple and consistentHash");
    const keys = [
      hash.httpHeaderName,
      hash.httpCookie,
      hash.useSourceIp,
      hash.httpQueryParameterName,
    ].filter((key) => key !== undefined);
    if (keys.length !== 1)
      at.refuse(
        "needs one of httpHeaderName, httpCookie, useSourceIp and httpQueryParameterName",
        "consistentHash",
      );
    if (hash.httpHeaderName !== undefined)
      at.headerName(hash.httpHeaderName, "consistentHash", "httpHeaderName");
  }
  if (locality === undefined) return;
  const stated = [locality.distribute, locality.failover].filter((list) => list.length > 0);
  if (stated.length > 1)
    at.refuse("takes only one of distribute and failover", "localityLbSetting");
  locality.distribute.forEach(({ to }, index) => {
    const sum = Object.values(to).reduce((total, weight) => total + weight, 0);
    if (sum !== 100)
      at.refuse(
        `the shares are ${sum} together, not 100`,
        "localityLbSetting",
        "distribute",
        index,
      );
  });
}

function checkPool({ tcp, http }: ConnectionPoolSpec, at: Checker): void {
  at.shortest(tcp?.connectTimeout, "tcp", "connectTimeout");
  at.shortest(tcp?.maxConnectionDuration, "tcp", "maxConnectionDuration");
  at.shortest(http?.idleTimeout === 0 ? undefined : http?.idleTimeout, "http", "idleTimeout");
  if (http?.useClientProtocol === true && http.h2UpgradePolicy === "UPGRADE")
    at.refuse("useClientProtocol and h2UpgradePolicy UPGRADE contradict each other", "http");
}
