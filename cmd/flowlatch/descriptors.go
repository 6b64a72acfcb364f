package main

import (
	"cmp"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/proxy"
)

// spareDescriptors is how many file descriptors are reserved for everything except connections to clients and to the
// upstream: listeners, up to 32 connections of operators, key file, certificates and log.
const spareDescriptors = 64

// fewConnections is the number of client connections below which there is a warning even if --max-connections has its
// default.
const fewConnections = 1000

// limitConnections limits connections to what the file descriptors allow. Some descriptors are kept spare, so that the
// gate can still read its key file when clients use all their connections. Go has already raised the limit of
// descriptors as far as it may.
func limitConnections(c *config.Config, log zerolog.Logger) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	descriptors := int(min(uint64(limit.Cur), 1<<30)) //nolint:unconvert // not the same type everywhere
	wanted := cmp.Or(c.Proxy.MaxConnections, proxy.DefaultMaxConnections)
	c.Proxy.MaxConnections, c.Proxy.MaxForwarded = divideDescriptors(descriptors, wanted)
	if got := c.Proxy.MaxConnections; got < wanted && (wanted != proxy.DefaultMaxConnections || got < fewConnections) {
		log.Warn().Int("max_connections", got).Int("wanted", wanted).Int("descriptors", descriptors).
			Msg("fewer client connections than --max-connections, because each may need two file descriptors; raise `ulimit -n`")
	}
}

// divideDescriptors returns how many client connections may be open, and how many requests may be at the upstream at
// once. There is one request for each client connection. The remaining descriptors are for HTTP/2, where a connection
// can have several requests.
func divideDescriptors(descriptors, wanted int) (clients, forwarded int) {
	free := max(descriptors-spareDescriptors, 2)
	clients = min(wanted, free/2)
	return clients, free - clients
}
