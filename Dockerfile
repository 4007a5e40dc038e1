# lockkeeperd as an image: the same files as in the .deb, with their own Node, run by a user without rights on a read-only
# root. Builds with BuildKit (`docker buildx build --platform linux/amd64,linux/arm64 .`) and with the classic builder.
#
#   docker build -t lockkeeper .
#
# NPM_BASE: any Debian with npm and Node 24 or later. BASE: any Debian from 12 on, or a relative.
ARG NPM_BASE=node:26-bookworm-slim
ARG BASE=debian:bookworm-slim

FROM ${NPM_BASE} AS build
LABEL lockkeeper.stage=build
# strip makes Node a fifth smaller; the image is as good without.
RUN command -v strip >/dev/null \
    || (apt-get update -q && apt-get install -q -y --no-install-recommends binutils) || true
WORKDIR /src
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
# Ends with a sentence for an architecture that has no Node or no SDK, 32-bit ARM for one.
ARG TARGETARCH
RUN node packaging/deb.ts --arch "${TARGETARCH:-$(node -p process.arch)}" --compression none --no-archive --out /out \
    && dpkg-deb -x /out/lockkeeper_*.deb /tree

FROM ${BASE}
RUN (ldconfig -p | grep -q libatomic.so.1 && ldconfig -p | grep -q libstdc++.so.6) \
    || (apt-get update -q && apt-get install -q -y --no-install-recommends libatomic1 libstdc++6 \
        && rm -rf /var/lib/apt/lists/*)
COPY --from=build /tree/usr/lib/lockkeeper /usr/lib/lockkeeper
COPY --from=build /tree/usr/bin/lockkeeper /tree/usr/bin/lockkeeperd /usr/bin/
COPY --from=build /tree/usr/share/doc/lockkeeper /usr/share/doc/lockkeeper
# The native modules are loaded once, by this Node on this architecture; the build ends here where they cannot be.
RUN cd /usr/lib/lockkeeper \
    && ./node --input-type=module -e "await import('@ngrok/ngrok'); await import('koffi')" \
    && echo 'lockkeeper:x:10001:10001:Lockkeeper:/var/lib/lockkeeper:/usr/sbin/nologin' >>/etc/passwd \
    && echo 'lockkeeper:x:10001:' >>/etc/group \
    && mkdir -p /etc/lockkeeper /var/lib/lockkeeper /run/lockkeeper \
    && chown 10001:10001 /var/lib/lockkeeper /run/lockkeeper \
    && chmod 700 /var/lib/lockkeeper

USER 10001:10001
# Folders, never single files: what is written is written anew and renamed.
VOLUME ["/var/lib/lockkeeper", "/run/lockkeeper"]
STOPSIGNAL SIGTERM
# Down means that the daemon does not answer; an edge or a broker that is away does not make it unhealthy.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/usr/bin/lockkeeper", "status"]
ENTRYPOINT ["/usr/lib/lockkeeper/node", "/usr/lib/lockkeeper/lockkeeperd.js"]
CMD ["--config", "/etc/lockkeeper/config.json"]
