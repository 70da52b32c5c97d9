# docker build -t ambit .
# One image for every role: docker run ambit <role> ...

FROM node:24-bookworm-slim AS build
WORKDIR /src
COPY package.json package-lock.json ./
# No package needs to compile or download anything here; esbuild and koffi bring their binaries as packages.
RUN npm ci --ignore-scripts --no-fund --no-audit
COPY tsconfig.json ./
COPY scripts/build.mjs scripts/
COPY src src
RUN node scripts/build.mjs \
 && mkdir -p /out/node_modules \
 && cp -r dist /out/dist \
 && cp -r node_modules/koffi node_modules/@koromix /out/node_modules/ \
 && rm -rf /out/node_modules/koffi/vendor /out/node_modules/koffi/doc /out/dist/*.map /out/dist/chunks/*.map

FROM node:24-bookworm-slim
# The roles use ip and nft, and ca-certificates where they are told to trust what the machine does (SYSTEM); the second line
# is for `ambit bench` (docker run --rm --privileged --user 0 -v "$PWD/bench:/bench" ambit bench --quick).
# The control plane's state may be a volume: Docker gives a new one the owner of the folder that it covers.
RUN apt-get update -q \
 && DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends ca-certificates iproute2 nftables \
    curl iperf3 nghttp2-client nginx-light wrk \
 && install -d -o 65532 -g 65532 -m 0700 /state \
 && rm -rf /var/lib/apt/lists/* /usr/local/lib/node_modules /opt/yarn* \
    /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
COPY --from=build /out /app
COPY LICENSE /app/
COPY --chmod=0755 scripts/container-entry.sh /usr/local/bin/ambit
# The control plane and the tools need no rights. The ztunnel and the node agent enter the namespaces of pods: run them as
# user 0 with the capabilities NET_ADMIN, SYS_ADMIN and NET_RAW, all others dropped.
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/ambit"]
CMD ["--help"]
