# A static binary on nothing: no shell, no libraries, no package manager.
# `make image` builds it with the version, revision and date of the checkout; docs/image.md says more.
# The key file is mounted as a directory, so that replacements of the file are seen.

# Any image that has Go, sh, and the usual commands and certificates.
ARG GO_IMAGE=golang:1.26

# On the machine's own platform, whatever the image is for: Go compiles for another by itself.
FROM --platform=$BUILDPLATFORM $GO_IMAGE AS build
WORKDIR /src
ARG GOPROXY
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG TARGETOS
ARG TARGETARCH
ARG VERSION=dev
RUN CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /tmp/flowlatch ./cmd/flowlatch
# The whole file system of the image, with fixed times: the same commit and the same Go give the same layer.
ARG SOURCE_DATE_EPOCH=0
RUN mkdir -p /image/etc/ssl/certs \
    && cp /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ \
    && cp /tmp/flowlatch /image/ \
    && find /image -type d -exec chmod 755 {} + \
    && chmod 755 /image/flowlatch && chmod 644 /image/etc/ssl/certs/ca-certificates.crt \
    && find /image -exec touch -d "@$SOURCE_DATE_EPOCH" {} +

FROM scratch
COPY --from=build /image/ /
ARG VERSION=dev
ARG REVISION=unknown
ARG DATE=1970-01-01T00:00:00Z
LABEL org.opencontainers.image.title="flowlatch" \
      org.opencontainers.image.description="A gate that puts a key on every chatflow of a flow runner such as Flowise" \
      org.opencontainers.image.source="https://github.com/flowlatch/flowlatch" \
      org.opencontainers.image.documentation="https://github.com/flowlatch/flowlatch/blob/main/README.md" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION" \
      org.opencontainers.image.created="$DATE"
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/flowlatch", "healthcheck"]
ENTRYPOINT ["/flowlatch"]
CMD ["serve"]
