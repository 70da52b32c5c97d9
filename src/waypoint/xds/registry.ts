/**
 * Every message that can stand inside another as an Any, so that resources can be printed as JSON. Loaded when somebody asks:
 * requests never need it.
 */
import { createRegistry, type Registry } from "@bufbuild/protobuf";
import {
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_struct,
  file_google_protobuf_wrappers,
} from "@bufbuild/protobuf/wkt";
import { file_envoy_config_cluster_v3_cluster } from "../../shared/wire/gen/envoy/config/cluster/v3/cluster_pb.js";
import { file_envoy_config_core_v3_extension } from "../../shared/wire/gen/envoy/config/core/v3/extension_pb.js";
import { file_envoy_config_endpoint_v3_endpoint } from "../../shared/wire/gen/envoy/config/endpoint/v3/endpoint_pb.js";
import { file_envoy_config_listener_v3_listener } from "../../shared/wire/gen/envoy/config/listener/v3/listener_pb.js";
import { file_envoy_config_route_v3_route } from "../../shared/wire/gen/envoy/config/route/v3/route_pb.js";
import { file_envoy_config_trace_v3_opentelemetry } from "../../shared/wire/gen/envoy/config/trace/v3/opentelemetry_pb.js";
import { file_envoy_config_trace_v3_zipkin } from "../../shared/wire/gen/envoy/config/trace/v3/zipkin_pb.js";
import { file_envoy_extensions_access_loggers_file_v3_file } from "../../shared/wire/gen/envoy/extensions/access_loggers/file/v3/file_pb.js";
import { file_envoy_extensions_access_loggers_filters_cel_v3_cel } from "../../shared/wire/gen/envoy/extensions/access_loggers/filters/cel/v3/cel_pb.js";
import { file_envoy_extensions_access_loggers_stream_v3_stream } from "../../shared/wire/gen/envoy/extensions/access_loggers/stream/v3/stream_pb.js";
import { file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster } from "../../shared/wire/gen/envoy/extensions/clusters/dynamic_forward_proxy/v3/cluster_pb.js";
import { file_envoy_extensions_filters_http_cors_v3_cors } from "../../shared/wire/gen/envoy/extensions/filters/http/cors/v3/cors_pb.js";
import { file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy } from "../../shared/wire/gen/envoy/extensions/filters/http/dynamic_forward_proxy/v3/dynamic_forward_proxy_pb.js";
import { file_envoy_extensions_filters_http_ext_authz_v3_ext_authz } from "../../shared/wire/gen/envoy/extensions/filters/http/ext_authz/v3/ext_authz_pb.js";
import { file_envoy_extensions_filters_http_fault_v3_fault } from "../../shared/wire/gen/envoy/extensions/filters/http/fault/v3/fault_pb.js";
import { file_envoy_extensions_filters_http_grpc_stats_v3_config } from "../../shared/wire/gen/envoy/extensions/filters/http/grpc_stats/v3/config_pb.js";
import { file_envoy_extensions_filters_http_grpc_web_v3_grpc_web } from "../../shared/wire/gen/envoy/extensions/filters/http/grpc_web/v3/grpc_web_pb.js";
import { file_envoy_extensions_filters_http_header_mutation_v3_header_mutation } from "../../shared/wire/gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.js";
import { file_envoy_extensions_filters_http_jwt_authn_v3_config } from "../../shared/wire/gen/envoy/extensions/filters/http/jwt_authn/v3/config_pb.js";
import { file_envoy_extensions_filters_http_rbac_v3_rbac } from "../../shared/wire/gen/envoy/extensions/filters/http/rbac/v3/rbac_pb.js";
import { file_envoy_extensions_filters_http_router_v3_router } from "../../shared/wire/gen/envoy/extensions/filters/http/router/v3/router_pb.js";
import { file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state } from "../../shared/wire/gen/envoy/extensions/filters/http/set_filter_state/v3/set_filter_state_pb.js";
import { file_envoy_extensions_filters_http_stateful_session_v3_stateful_session } from "../../shared/wire/gen/envoy/extensions/filters/http/stateful_session/v3/stateful_session_pb.js";
import { file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector } from "../../shared/wire/gen/envoy/extensions/filters/listener/http_inspector/v3/http_inspector_pb.js";
import { file_envoy_extensions_filters_listener_original_dst_v3_original_dst } from "../../shared/wire/gen/envoy/extensions/filters/listener/original_dst/v3/original_dst_pb.js";
import { file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector } from "../../shared/wire/gen/envoy/extensions/filters/listener/tls_inspector/v3/tls_inspector_pb.js";
import { file_envoy_extensions_filters_network_ext_authz_v3_ext_authz } from "../../shared/wire/gen/envoy/extensions/filters/network/ext_authz/v3/ext_authz_pb.js";
import { file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager } from "../../shared/wire/gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.js";
import { file_envoy_extensions_filters_network_rbac_v3_rbac } from "../../shared/wire/gen/envoy/extensions/filters/network/rbac/v3/rbac_pb.js";
import { file_envoy_extensions_filters_network_set_filter_state_v3_set_filter_state } from "../../shared/wire/gen/envoy/extensions/filters/network/set_filter_state/v3/set_filter_state_pb.js";
import { file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy } from "../../shared/wire/gen/envoy/extensions/filters/network/tcp_proxy/v3/tcp_proxy_pb.js";
import { file_envoy_extensions_formatter_cel_v3_cel } from "../../shared/wire/gen/envoy/extensions/formatter/cel/v3/cel_pb.js";
import { file_envoy_extensions_formatter_metadata_v3_metadata } from "../../shared/wire/gen/envoy/extensions/formatter/metadata/v3/metadata_pb.js";
import { file_envoy_extensions_formatter_req_without_query_v3_req_without_query } from "../../shared/wire/gen/envoy/extensions/formatter/req_without_query/v3/req_without_query_pb.js";
import { file_envoy_extensions_http_header_formatters_preserve_case_v3_preserve_case } from "../../shared/wire/gen/envoy/extensions/http/header_formatters/preserve_case/v3/preserve_case_pb.js";
import { file_envoy_extensions_matching_common_inputs_network_v3_network_inputs } from "../../shared/wire/gen/envoy/extensions/matching/common_inputs/network/v3/network_inputs_pb.js";
import { file_envoy_extensions_network_dns_resolver_cares_v3_cares_dns_resolver } from "../../shared/wire/gen/envoy/extensions/network/dns_resolver/cares/v3/cares_dns_resolver_pb.js";
import { file_envoy_extensions_path_match_uri_template_v3_uri_template_match } from "../../shared/wire/gen/envoy/extensions/path/match/uri_template/v3/uri_template_match_pb.js";
import { file_envoy_extensions_request_id_uuid_v3_uuid } from "../../shared/wire/gen/envoy/extensions/request_id/uuid/v3/uuid_pb.js";
import { file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts } from "../../shared/wire/gen/envoy/extensions/retry/host/previous_hosts/v3/previous_hosts_pb.js";
import { file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config } from "../../shared/wire/gen/envoy/extensions/retry/priority/previous_priorities/v3/previous_priorities_config_pb.js";
import { file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream } from "../../shared/wire/gen/envoy/extensions/transport_sockets/internal_upstream/v3/internal_upstream_pb.js";
import { file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol } from "../../shared/wire/gen/envoy/extensions/transport_sockets/proxy_protocol/v3/upstream_proxy_protocol_pb.js";
import { file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer } from "../../shared/wire/gen/envoy/extensions/transport_sockets/raw_buffer/v3/raw_buffer_pb.js";
import { file_envoy_extensions_transport_sockets_tls_v3_tls } from "../../shared/wire/gen/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { file_envoy_extensions_upstreams_http_v3_http_protocol_options } from "../../shared/wire/gen/envoy/extensions/upstreams/http/v3/http_protocol_options_pb.js";
import { file_envoy_service_auth_v3_external_auth } from "../../shared/wire/gen/envoy/service/auth/v3/external_auth_pb.js";
import { file_istio_workload_workload } from "../../shared/wire/gen/istio/workload/workload_pb.js";
import { file_udpa_type_v1_typed_struct } from "../../shared/wire/gen/udpa/type/v1/typed_struct_pb.js";
import { file_xds_type_matcher_v3_ip } from "../../shared/wire/gen/xds/type/matcher/v3/ip_pb.js";
import { file_xds_type_matcher_v3_matcher } from "../../shared/wire/gen/xds/type/matcher/v3/matcher_pb.js";
import { file_xds_type_v3_typed_struct } from "../../shared/wire/gen/xds/type/v3/typed_struct_pb.js";

export function wireRegistry(): Registry {
  return createRegistry(
    file_google_protobuf_any,
    file_google_protobuf_duration,
    file_google_protobuf_struct,
    file_google_protobuf_wrappers,
    file_envoy_config_cluster_v3_cluster,
    file_envoy_config_core_v3_extension,
    file_envoy_config_endpoint_v3_endpoint,
    file_envoy_config_listener_v3_listener,
    file_envoy_config_route_v3_route,
    file_envoy_config_trace_v3_opentelemetry,
    file_envoy_config_trace_v3_zipkin,
    file_envoy_extensions_access_loggers_file_v3_file,
    file_envoy_extensions_access_loggers_filters_cel_v3_cel,
    file_envoy_extensions_access_loggers_stream_v3_stream,
    file_envoy_extensions_clusters_dynamic_forward_proxy_v3_cluster,
    file_envoy_extensions_filters_http_cors_v3_cors,
    file_envoy_extensions_filters_http_dynamic_forward_proxy_v3_dynamic_forward_proxy,
    file_envoy_extensions_filters_http_ext_authz_v3_ext_authz,
    file_envoy_extensions_filters_http_fault_v3_fault,
    file_envoy_extensions_filters_http_grpc_stats_v3_config,
    file_envoy_extensions_filters_http_grpc_web_v3_grpc_web,
    file_envoy_extensions_filters_http_header_mutation_v3_header_mutation,
    file_envoy_extensions_filters_http_jwt_authn_v3_config,
    file_envoy_extensions_filters_http_rbac_v3_rbac,
    file_envoy_extensions_filters_http_router_v3_router,
    file_envoy_extensions_filters_http_set_filter_state_v3_set_filter_state,
    file_envoy_extensions_filters_http_stateful_session_v3_stateful_session,
    file_envoy_extensions_filters_listener_http_inspector_v3_http_inspector,
    file_envoy_extensions_filters_listener_original_dst_v3_original_dst,
    file_envoy_extensions_filters_listener_tls_inspector_v3_tls_inspector,
    file_envoy_extensions_filters_network_ext_authz_v3_ext_authz,
    file_envoy_extensions_filters_network_http_connection_manager_v3_http_connection_manager,
    file_envoy_extensions_filters_network_rbac_v3_rbac,
    file_envoy_extensions_filters_network_set_filter_state_v3_set_filter_state,
    file_envoy_extensions_filters_network_tcp_proxy_v3_tcp_proxy,
    file_envoy_extensions_formatter_cel_v3_cel,
    file_envoy_extensions_formatter_metadata_v3_metadata,
    file_envoy_extensions_formatter_req_without_query_v3_req_without_query,
    file_envoy_extensions_http_header_formatters_preserve_case_v3_preserve_case,
    file_envoy_extensions_matching_common_inputs_network_v3_network_inputs,
    file_envoy_extensions_network_dns_resolver_cares_v3_cares_dns_resolver,
    file_envoy_extensions_path_match_uri_template_v3_uri_template_match,
    file_envoy_extensions_request_id_uuid_v3_uuid,
    file_envoy_extensions_retry_host_previous_hosts_v3_previous_hosts,
    file_envoy_extensions_retry_priority_previous_priorities_v3_previous_priorities_config,
    file_envoy_extensions_transport_sockets_internal_upstream_v3_internal_upstream,
    file_envoy_extensions_transport_sockets_proxy_protocol_v3_upstream_proxy_protocol,
    file_envoy_extensions_transport_sockets_raw_buffer_v3_raw_buffer,
    file_envoy_extensions_transport_sockets_tls_v3_tls,
    file_envoy_extensions_upstreams_http_v3_http_protocol_options,
    file_envoy_service_auth_v3_external_auth,
    file_istio_workload_workload,
    file_udpa_type_v1_typed_struct,
    file_xds_type_matcher_v3_ip,
    file_xds_type_matcher_v3_matcher,
    file_xds_type_v3_typed_struct,
  );
}
