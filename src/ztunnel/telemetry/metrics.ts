/**
 * Every metric family of the ztunnel under the reference's name (wire/ztunnel.md section 9.2), and one of our own. Help texts
 * say `unstable` exactly where the reference's do.
 */
import type { ErrorCode, ResponseFlag } from "../../shared/base/errors.ts";
import type { Metrics, Series, SeriesFamily } from "../../shared/telemetry/metrics.ts";
import type { TerminationReason, XdsEvents } from "../../shared/xds/types.ts";
import type { Party } from "./party.ts";
import {
  type Reporter,
  responseFlagsIndex,
  sameLabels,
  type TrafficContext,
  trafficLabelNames,
  trafficLabels,
} from "./traffic.ts";

/** The counters of one set of traffic labels. */
export interface TrafficSeries {
  readonly opened: Series;
  /** Bytes from client to server. */
  readonly received: Series;
  /** Bytes from server to client. */
  readonly sent: Series;
  closed(flag: ResponseFlag): Series;
  failed(flag: ResponseFlag): Series;
}

/** Series appear and stay, as in the reference; this many sets of labels are more than a node can honestly have. */
const maxLabelSets = 10_000;

/** The labels of metrics that tell only about the pod that asked; where it stands is not among them. */
const sourceLabelNames = trafficLabelNames.filter(
  (name) => name.startsWith("source_") && !/_(region|zone)$/.test(name),
);

export interface ZtunnelMetrics {
  traffic(context: TrafficContext): TrafficSeries;
  socketsOpen(reporter: Reporter): Series;
  /** Ours: the reference only logs what it refuses early. */
  refused(reporter: Reporter, reason: ErrorCode): Series;
  /** istio_on_demand_dns_total: a hostname workload was resolved for this workload. */
  onDemandDns(source: Party, hostname: string): void;
  crlRejections(reporter: Reporter): Series;
  crlUntracked(reporter: Reporter): Series;
  readonly xds: Pick<XdsEvents, "terminated" | "message">;
  readonly pods: PodMetrics;
}

export interface PodMetrics {
  readonly active: Series;
  readonly pending: Series;
  readonly started: Series;
  readonly stopped: Series;
}

/** Series of one family that differ in their flag only, each looked up once. */
function byFlag(family: SeriesFamily, base: readonly string[]): (flag: ResponseFlag) => Series {
  const found = new Map<ResponseFlag, Series>();
  return (flag) => {
    let series = found.get(flag);
    if (series === undefined) {
      series = family.series(...base.with(responseFlagsIndex, flag));
      found.set(flag, series);
    }
    return series;
  };
}

/** Series that differ in who reports only, each looked up once. */
function byReporter(family: SeriesFamily): (reporter: Reporter) => Series {
  const found: Partial<Record<Reporter, Series>> = {};
  return (reporter) => {
    found[reporter] ??= family.series(reporter);
    return found[reporter];
  };
}

function trafficFamilies(metrics: Metrics): (context: TrafficContext) => TrafficSeries {
  const family = (name: string, help: string): SeriesFamily =>
    metrics.counter({ name, help, labelNames: trafficLabelNames });
  const opened = family(
    "istio_tcp_connections_opened",
    "The total number of TCP connections opened",
  );
  const closed = family(
    "istio_tcp_connections_closed",
    "The total number of TCP connections closed",
  );
  const failed = family(
    "istio_tcp_connections_failed",
    "The total number of TCP connections that failed to establish (unstable)",
  );
  const received = family(
    "istio_tcp_received_bytes",
    "The size of total bytes received during request in case of a TCP connection",
  );
  const sent = family(
    "istio_tcp_sent_bytes",
    "The size of total bytes sent during response in case of a TCP connection",
  );
  const known = new Map<string, TrafficSeries>();
  return rememberLast((context) => {
    let labels = trafficLabels(context);
    let key = labels.join("\u0000");
    let series = known.get(key);
    if (series === undefined && known.size >= maxLabelSets) {
      // A client that describes itself anew each time must not make memory grow without end.
      labels = trafficLabels({ ...context, source: undefined });
      key = labels.join("\u0000");
      series = known.get(key);
    }
    if (series === undefined) {
      const base = labels;
      series = {
        opened: opened.series(...base),
        received: received.series(...base),
        sent: sent.series(...base),
        closed: byFlag(closed, base),
        failed: byFlag(failed, base),
      };
      known.set(key, series);
    }
    return series;
  });
}

function xdsFamilies(metrics: Metrics): ZtunnelMetrics["xds"] {
  const terminations = metrics.counter({
    name: "istio_xds_connection_terminations",
    help: "The total number of completed connections to xds server (unstable)",
    labelNames: ["reason"],
  });
  const messages = metrics.counter({
    name: "istio_xds_message",
    help: "Total number of messages received (unstable)",
    labelNames: ["url"],
  });
  const bytes = metrics.counter({
    name: "istio_xds_message_bytes",
    help: "Total number of bytes received (unstable)",
    labelNames: ["url"],
  });
  return {
    terminated: (reason: TerminationReason) => {
      terminations.series(reason).value++;
    },
    message: (url, size) => {
      messages.series(url).value++;
      bytes.series(url).value += size;
    },
  };
}

function podFamilies(metrics: Metrics): PodMetrics {
  const gauge = (name: string, help: string): Series => metrics.gauge({ name, help }).series();
  const counter = (name: string, help: string): Series => metrics.counter({ name, help }).series();
  return {
    active: gauge(
      "workload_manager_active_proxy_count",
      "The total number current workloads with active proxies (unstable)",
    ),
    pending: gauge(
      "workload_manager_pending_proxy_count",
      "The total number current workloads with pending proxies (unstable)",
    ),
    started: counter(
      "workload_manager_proxies_started",
      "The total number of proxies that were started (unstable)",
    ),
    stopped: counter(
      "workload_manager_proxies_stopped",
      "The total number of proxies that were stopped (unstable)",
    ),
  };
}

const nobody: TrafficContext = {
  reporter: "source",
  source: undefined,
  sourceIdentity: undefined,
  destination: undefined,
  destinationIdentity: undefined,
  service: undefined,
  mutualTls: false,
};

/** Stands for an end that is not known. */
const unknownParty = {};

/** Most connections between two ends have the same labels as the one before: printing and hashing them is saved. */
function rememberLast(
  find: (context: TrafficContext) => TrafficSeries,
): (context: TrafficContext) => TrafficSeries {
  type Last = { readonly context: TrafficContext; readonly series: TrafficSeries };
  const bySource = new WeakMap<object, WeakMap<object, Last>>();
  return (context) => {
    const source = context.source ?? unknownParty;
    const destination = context.destination ?? unknownParty;
    let byDestination = bySource.get(source);
    if (byDestination === undefined) {
      byDestination = new WeakMap();
      bySource.set(source, byDestination);
    }
    const last = byDestination.get(destination);
    if (last !== undefined && sameLabels(last.context, context)) return last.series;
    const series = find(context);
    byDestination.set(destination, { context, series });
    return series;
  };
}

/** Registers all families; `version` is what the build calls itself. */
export function createZtunnelMetrics(metrics: Metrics, version: string): ZtunnelMetrics {
  metrics
    .gauge({
      name: "istio_build",
      help: "Istio component build info",
      labelNames: ["component", "tag"],
    })
    .series("ztunnel", version).value = 1;
  return {
    ...createTrafficMetrics(metrics),
    xds: xdsFamilies(metrics),
    pods: podFamilies(metrics),
  };
}

/** What connections count, on whatever thread. */
export type TrafficMetrics = Omit<ZtunnelMetrics, "xds" | "pods">;

/** Registers the families that every thread of the data path has. */
export function createTrafficMetrics(metrics: Metrics): TrafficMetrics {
  const socketsOpen = metrics.gauge({
    name: "istio_tcp_sockets_open",
    help: "The current number of open TCP sockets (unstable)",
    labelNames: ["reporter"],
  });
  const refused = metrics.counter({
    name: "ambit_connections_refused",
    help: "The total number of connections and requests refused before their two ends were known (unstable)",
    labelNames: ["reporter", "reason"],
  });
  const crlRejections = metrics.counter({
    name: "istio_crl_policy_rejections",
    help: "The total number of connections rejected by a certificate revocation list (unstable)",
    labelNames: ["reporter"],
  });
  const crlUntracked = metrics.counter({
    name: "istio_crl_untracked_connections",
    help: "The total number of connections that a change of revocation lists cannot be applied to (unstable)",
    labelNames: ["reporter"],
  });
  const onDemandDns = metrics.counter({
    name: "istio_on_demand_dns",
    help: "The total number of requests that used on-demand DNS (unstable)",
    labelNames: [...sourceLabelNames, "hostname"],
  });
  return {
    traffic: trafficFamilies(metrics),
    socketsOpen: byReporter(socketsOpen),
    refused: (reporter, reason) => refused.series(reporter, reason),
    crlRejections: (reporter) => crlRejections.series(reporter),
    crlUntracked: (reporter) => crlUntracked.series(reporter),
    onDemandDns: (source, hostname) => {
      const labels = trafficLabels({ ...nobody, source, sourceIdentity: source.identity });
      onDemandDns.series(
        ...sourceLabelNames.map((name) => labels[trafficLabelNames.indexOf(name)] ?? ""),
        hostname,
      ).value++;
    },
  };
}
