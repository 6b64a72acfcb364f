package main

import (
	"cmp"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/proxy"
)

// spareDescriptors are kept back for what is no connection of a client and none to the upstream: listeners, up to 32
// connections of operators, key file and certificates, the log.
const spareDescriptors = 64

// fewConnections are worth a warning, although nobody asked for more.
const fewConnections = 1000

// limitConnections makes sure that there are descriptors for all connections that the gate may have, and some more, so that
// it can still read its key file when clients take all that they get. Go has raised the limit as far as it may.
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
// once. Each client connection can have a request there; those that are left over serve HTTP/2, where it can have more.
func divideDescriptors(descriptors, wanted int) (clients, forwarded int) {
	free := max(descriptors-spareDescriptors, 2)
	clients = min(wanted, free/2)
	return clients, free - clients
}
