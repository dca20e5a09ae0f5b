# syntax=docker/dockerfile:1
# An image of the host: docs/packages.md. Build with: docker build -t hookhost .

FROM rust:1.95.0-bookworm AS build
WORKDIR /src
COPY . .
# The commit for `hookhost --version`; the image has no git repository.
ARG COMMIT=""
RUN HOOKHOST_COMMIT="$COMMIT" cargo build --profile dist --locked -p hookhost \
    && target/dist/hookhost --version

FROM debian:bookworm-slim
# Certificate authorities, for webhooks over https.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin hookhost \
    && install -d -o hookhost -g hookhost /var/lib/hookhost /var/cache/hookhost /etc/hookhost
COPY --from=build /src/target/dist/hookhost /usr/local/bin/hookhost
USER 10001
WORKDIR /etc/hookhost
# Clients reach the broker from outside of the container, so it starts only with [[authentication]] or with
# HOOKHOST_MQTT__ALLOW_ANONYMOUS=true. The admin API stays inside, because it has no token:
# docs/packages.md says how to open it.
ENV HOOKHOST_MQTT__LISTEN=0.0.0.0:1883 \
    HOOKHOST_DATA__DIR=/var/lib/hookhost \
    XDG_CACHE_HOME=/var/cache/hookhost
VOLUME ["/var/lib/hookhost"]
EXPOSE 1883 18083
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["hookhost", "ready"]
ENTRYPOINT ["hookhost"]
CMD ["run"]
