#!/bin/sh
# `ambit` in the image. The flags keep a role small; they do not change its speed (docs/performance.md).
# Roles that hold the objects of the whole mesh want a larger young generation.
case "${1:-}" in controlplane | nodeagent) young=8 ;; *) young=1 ;; esac
exec node --max-semi-space-size=$young --single-threaded-gc /app/dist/ambit.mjs "$@"
