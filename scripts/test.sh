#!/bin/sh
# Every test. Extra words are passed to node's runner: npm test -- --test-name-pattern=hpack
. "$(dirname "$0")/prepare.sh"
prepare_npm
prepare_tools ip:iproute2 nft:nftables h2load:nghttp2-client tcpdump:tcpdump iperf3:iperf3
prepare_bundle
node --test --test-concurrency=2 "$@" "test/**/*.test.ts"
