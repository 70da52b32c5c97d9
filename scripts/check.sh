#!/bin/sh
# Everything that needs neither network nor privileges: format, lint, types, dead code, layers, unit tests.
# `check.sh static` leaves the tests out, for callers that run all of them anyway.
. "$(dirname "$0")/prepare.sh"
prepare_npm
biome check --error-on-warnings .
tsc --noEmit
knip
[ "${1:-}" = static ] || exec node --test --test-reporter=dot "test/arch/**/*.test.ts" "test/unit/**/*.test.ts" "test/property/**/*.test.ts"
