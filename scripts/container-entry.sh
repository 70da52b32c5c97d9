#!/bin/sh
# `ambit` in the image. The flags keep a role small; they do not change its speed (docs/performance.md).
# Roles that hold the objects of the whole mesh, or make objects for every request, want a larger young generation.
case "${1:-}:${2:-}" in controlplane:* | nodeagent:* | waypoint:* | proxy:waypoint) young=8 ;; *) young=1 ;; esac
exec node --max-semi-space-size=$young --single-threaded-gc /app/dist/ambit.mjs "$@"
