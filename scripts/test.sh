#!/bin/sh
# Every test, or those that are named: npm test -- test/e2e/demo.test.ts. Other words go to node's runner:
# npm test -- --test-name-pattern=hpack
. "$(dirname "$0")/prepare.sh"
prepare_npm
prepare_tools ip:iproute2 nft:nftables unshare:util-linux h2load:nghttp2-client openssl:openssl dig:bind9-dnsutils
# Independent peers: the tests with one that cannot be had are skipped by name.
prepare_tools protoc:protobuf-compiler kdig:knot-dnsutils curl:curl nginx:nginx-light python3:python3-venv || true
prepare_envoy
prepare_xds_python
prepare_h2spec
prepare_bundle
for word in "$@"; do
  case $word in
    -*) ;;
    *) exec node --test --test-concurrency=2 "$@" ;;
  esac
done
exec node --test --test-concurrency=2 "$@" "test/**/*.test.ts"
