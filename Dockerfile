# A static binary on nothing: no shell, no libraries, no package manager.
# The key file is mounted as a directory, so that replacements of the file are seen.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=$VERSION" -o /flowlatch ./cmd/flowlatch

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /flowlatch /flowlatch
USER 65532:65532
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["/flowlatch", "healthcheck"]
ENTRYPOINT ["/flowlatch"]
CMD ["serve"]
