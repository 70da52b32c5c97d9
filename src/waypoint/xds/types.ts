/** The resource types of a waypoint (wire/waypoint.md section 2.3). */
export const clusterType = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
export const endpointsType = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
export const listenerType = "type.googleapis.com/envoy.config.listener.v3.Listener";
export const workloadType = "type.googleapis.com/istio.workload.Workload";
export const secretType = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
