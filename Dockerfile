# Two images from one build: `--target database` (PostgreSQL with the extension) and `--target proxy`.

FROM rust:1.95-bookworm AS build
WORKDIR /build
# The tools first: they change seldom, so an edit of the sources does not install them again.
COPY rust-toolchain.toml ./
COPY extension/Cargo.toml extension/
COPY dev/ dev/
RUN dev/setup
COPY . .
RUN dev/package

FROM debian:bookworm-slim AS database
# Without the cluster that Debian's package would make: the entrypoint makes its own, on the volume.
RUN mkdir -p /etc/postgresql-common \
    && echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.conf \
    && apt-get update \
    && apt-get install -y --no-install-recommends postgresql-15 \
    && rm -rf /var/lib/apt/lists/* \
    && install -d -o postgres -g postgres -m 0700 /var/lib/postgresql/data
COPY --from=build /build/target/package/extension/ /
COPY docker/database.sh docker/database.sql /usr/local/bin/
ENV PATH=/usr/lib/postgresql/15/bin:$PATH
USER postgres
VOLUME /var/lib/postgresql/data
EXPOSE 5432
# Fast shutdown: open transactions are rolled back, everything committed is kept.
STOPSIGNAL SIGINT
ENTRYPOINT ["/usr/local/bin/database.sh"]

FROM debian:bookworm-slim AS proxy
# Whom outbound postbacks over https believe.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
# A volume mounted there takes over the owner.
RUN useradd --system --no-create-home --shell /usr/sbin/nologin postback \
    && install -d -o postback -m 0700 /var/lib/postback/spool
COPY --from=build /build/target/package/bin/postback-proxy /usr/local/bin/postback-proxy
COPY docker/proxy_health.sh /usr/local/bin/proxy_health.sh
USER postback
ENV POSTBACK_LISTEN=0.0.0.0:8080 POSTBACK_ADMIN_LISTEN=127.0.0.1:9090
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/postback-proxy"]
