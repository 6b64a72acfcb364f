package main

import (
	"io"
	stdlog "log"
	"os"
	"os/signal"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
)

// openLog returns the log of a gate, which no reader of stderr can stop, and what counts the lines that were dropped. The
// writer's Close writes what waits.
func openLog(c *config.Config, stderr io.Writer) (zerolog.Logger, *logWriter, prometheus.Collector) {
	signal.Ignore(syscall.SIGPIPE) // a reader that ends would end the gate
	stdlog.SetOutput(io.Discard)   // net/http's Transport would write bytes of the upstream there, and no JSON
	w := newLogWriter(stderr)
	var to io.Writer = w
	if c.LogConsole {
		to = newConsole(w, isTerminal(stderr))
	}
	log := zerolog.New(to).Level(c.LogLevel).With().Timestamp().Logger()
	w.notice = func(lines uint64) {
		log.Warn().Uint64("lines", lines).Msg("log lines were dropped, because stderr was not read or could not be written")
	}
	go w.run()
	return log, w, prometheus.NewCounterFunc(prometheus.CounterOpts{
		Name: "flowlatch_log_lines_dropped_total",
		Help: "Log lines that were dropped, because stderr was not read or could not be written.",
	}, func() float64 { return float64(w.dropped.Load()) })
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
