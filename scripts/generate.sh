#!/bin/sh
# Regenerates src/shared/wire/gen: our own messages from src/shared/wire/proto, and Envoy's from the npm package
# @grpc/grpc-js-xds, which carries its API definitions. Only what envoy-roots.txt names and what that imports.
. "$(dirname "$0")/prepare.sh"
prepare_npm
cd src/shared/wire
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
deps=../../../node_modules/@grpc/grpc-js-xds/deps
cp -r "$deps/envoy-api/envoy" "$deps/googleapis/google" "$deps/xds/udpa" "$deps/xds/xds" "$stage"
mkdir "$stage/validate"
cp "$deps/protoc-gen-validate/validate/validate.proto" "$stage/validate"
# buf brings its own; the package's validate.proto is older than its users.
rm -rf "$stage/google/protobuf"
sed -i 's/\(well_known_regex: [A-Z_]*\) ignore_empty: true/\1/' "$stage/envoy/config/core/v3/protocol.proto"
printf 'version: v2\n' > "$stage/buf.yaml"
paths=$(sed 's/^/--path /' envoy-roots.txt)
# Without source information the generated files carry shapes, not the documentation of others.
# shellcheck disable=SC2086
(cd "$stage" && buf build $paths --exclude-source-info -o image.binpb)
rm -rf gen
buf generate
buf generate "$stage/image.binpb" --include-imports
