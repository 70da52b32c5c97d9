/** The Gateway API's kinds that say where waypoints and network gateways are. */
import {
  anything,
  defaulted,
  list,
  object,
  oneOf,
  optional,
  port,
  required,
  string,
} from "../schema.ts";
import { condition, labels } from "./core.ts";

const labelExpression = object({
  key: required(string),
  operator: required(oneOf("In", "NotIn", "Exists", "DoesNotExist")),
  values: defaulted(list(string), []),
});

export const labelSelector = object({
  matchLabels: defaulted(labels, {}),
  matchExpressions: defaulted(list(labelExpression), []),
});

const allowedRoutes = object({
  namespaces: optional(
    object({
      from: defaulted(oneOf("All", "Same", "Selector", "None"), "Same"),
      selector: optional(labelSelector),
    }),
  ),
  kinds: optional(anything),
});

const listener = object({
  name: required(string),
  hostname: optional(string),
  port: required(port),
  protocol: required(string),
  tls: optional(anything),
  allowedRoutes: optional(allowedRoutes),
});

const gatewayAddress = object({ type: defaulted(string, "IPAddress"), value: optional(string) });

const gatewaySpec = object(
  {
    gatewayClassName: required(string),
    listeners: defaulted(list(listener), []),
    addresses: defaulted(list(gatewayAddress), []),
    infrastructure: optional(anything),
  },
  { ignored: ["allowedListeners", "backendTLS", "defaultScope", "tls"] },
);

const gatewayStatus = object(
  {
    addresses: defaulted(
      list(
        object({ type: defaulted(string, "IPAddress"), value: optional(string) }, { open: true }),
      ),
      [],
    ),
    conditions: defaulted(list(condition), []),
  },
  { open: true },
);

export const gatewayBody = object({ spec: required(gatewaySpec), status: optional(gatewayStatus) });

const gatewayClassSpec = object({
  controllerName: required(string),
  description: optional(string),
  parametersRef: optional(anything),
});

export const gatewayClassBody = object({
  spec: required(gatewayClassSpec),
  status: optional(anything),
});
