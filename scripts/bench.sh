#!/bin/sh
# Measures the data path between two nodes in a sandbox of its own: npm run bench [-- --seconds 3] [-- --tests bulk1,c32,conn]
. "$(dirname "$0")/prepare.sh"
prepare_npm
prepare_tools ip:iproute2 iperf3:iperf3 wrk:wrk openssl:openssl
exec node test/bench/datapath/run.ts "$@"
