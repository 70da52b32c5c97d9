/** What a cluster counts, by the names of the reference's statistics. */
export interface ClusterCounts {
  upstreamCxTotal: number;
  upstreamCxActive: number;
  upstreamCxConnectFail: number;
  upstreamCxConnectTimeout: number;
  upstreamCxOverflow: number;
  upstreamRqTotal: number;
  upstreamRqActive: number;
  upstreamRqPendingOverflow: number;
  upstreamRqRetry: number;
  upstreamRqRetryOverflow: number;
  upstreamRqTimeout: number;
  upstreamRq5xx: number;
  lbHealthyPanic: number;
  updates: number;
}

export function newCounts(): ClusterCounts {
  return {
    upstreamCxTotal: 0,
    upstreamCxActive: 0,
    upstreamCxConnectFail: 0,
    upstreamCxConnectTimeout: 0,
    upstreamCxOverflow: 0,
    upstreamRqTotal: 0,
    upstreamRqActive: 0,
    upstreamRqPendingOverflow: 0,
    upstreamRqRetry: 0,
    upstreamRqRetryOverflow: 0,
    upstreamRqTimeout: 0,
    upstreamRq5xx: 0,
    lbHealthyPanic: 0,
    updates: 0,
  };
}
