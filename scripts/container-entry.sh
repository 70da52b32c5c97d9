#!/bin/sh
# `ambit` in the image. The flags keep a role small; they do not change its speed (docs/performance.md).
exec node --max-semi-space-size=1 --single-threaded-gc /app/dist/ambit.mjs "$@"
