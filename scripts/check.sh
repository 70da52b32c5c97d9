#!/bin/sh
# Everything that needs neither network nor privileges: format, lint, types, dead code, layers, unit tests.
. "$(dirname "$0")/prepare.sh"
prepare_npm
biome check --error-on-warnings .
tsc --noEmit
knip
node --test --test-reporter=dot "test/arch/**/*.test.ts" "test/unit/**/*.test.ts" "test/property/**/*.test.ts"
