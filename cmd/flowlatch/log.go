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

// openLog returns the log of a gate, its writer, and the metric that counts dropped lines. A reader of stderr that is
// slow or gone cannot stop the gate. Closing the writer writes the lines that are still waiting.
func openLog(c *config.Config, stderr io.Writer) (zerolog.Logger, *logWriter, prometheus.Collector) {
	signal.Ignore(syscall.SIGPIPE) // or the gate would end when the reader of stderr does
	stdlog.SetOutput(io.Discard)   // net/http's Transport would write bytes from the upstream there, and not as JSON
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
