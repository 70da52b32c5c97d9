#!/bin/sh
# Regenerates src/shared/wire/gen from src/shared/wire/proto.
. "$(dirname "$0")/prepare.sh"
prepare_npm
cd src/shared/wire
buf generate
