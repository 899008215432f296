FROM rust:1.95-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends clang libclang-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /weir
COPY . .
RUN cargo build --release --bin weir

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/*
RUN useradd --system --create-home weir && mkdir /data && chown weir /data
COPY --from=build /weir/target/release/weir /usr/bin/weir
USER weir
EXPOSE 8488
STOPSIGNAL SIGTERM
ENTRYPOINT ["weir"]
