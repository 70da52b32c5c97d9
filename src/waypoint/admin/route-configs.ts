/** Finds the route configurations that stand inside a printed listener. */

type Json = Readonly<Record<string, unknown>>;

const routeType = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The objects of a list; whatever else stands there is none of ours. */
function objectsAt(holder: Json, field: string): readonly Json[] {
  const list = holder[field];
  return Array.isArray(list) ? list.filter(isObject) : [];
}

export function routeConfigs(listener: unknown): readonly Json[] {
  if (!isObject(listener)) return [];
  return objectsAt(listener, "filter_chains")
    .flatMap((chain) => objectsAt(chain, "filters"))
    .flatMap(({ typed_config: manager }) => {
      const config = isObject(manager) ? manager["route_config"] : undefined;
      return isObject(config) ? [{ "@type": routeType, ...config }] : [];
    });
}
