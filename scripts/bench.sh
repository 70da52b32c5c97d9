#!/bin/sh
# Measures what the mesh costs on this machine: npm run bench [-- --quick] [-- --stacks direct,ambit] [-- --compare <git ref>]
# `npm run bench -- datapath` measures the bare data path alone, `npm run bench -- micro` single functions;
# `npm run bench -- --from <report.json>` shows a report again.
. "$(dirname "$0")/prepare.sh"
prepare_npm
if [ "${1:-}" = datapath ]; then
  shift
  prepare_tools ip:iproute2 iperf3:iperf3 wrk:wrk openssl:openssl
  exec node test/bench/datapath/run.ts "$@"
fi
case "${1:-}" in
  micro | --from)
    prepare_bundle
    exec node --max-semi-space-size=1 --single-threaded-gc dist/ambit.mjs bench "$@"
    ;;
esac
prepare_tools ip:iproute2 nft:nftables ss:iproute2 curl:curl iperf3:iperf3 wrk:wrk h2load:nghttp2-client nginx:nginx-light
prepare_envoy
prepare_bundle
# How the report says to measure again.
AMBIT_BENCH_CALL="npm run bench --"
export AMBIT_BENCH_CALL
exec node --max-semi-space-size=1 --single-threaded-gc dist/ambit.mjs bench "$@"
