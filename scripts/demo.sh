#!/bin/sh
# Brings up a mesh in namespaces of its own, checks it and shows it: npm run demo [-- --once] [-- --json]
. "$(dirname "$0")/prepare.sh"
prepare_npm
prepare_tools ip:iproute2 nft:nftables
prepare_bundle
exec node --max-semi-space-size=1 --single-threaded-gc dist/ambit.mjs demo "$@"
