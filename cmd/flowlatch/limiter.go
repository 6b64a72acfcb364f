package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/flowlatch/flowlatch/internal/config"
	"github.com/flowlatch/flowlatch/proxy"
	"github.com/flowlatch/flowlatch/proxy/limit"
)

// openLimiter returns the limiter, which counts limits and usage, and the functions that must run beside it until their
// context is done.
func openLimiter(c *config.Config, log zerolog.Logger) (l proxy.Limiter, run []func(context.Context), err error) {
	if c.LimitsRedis != nil {
		r := limit.NewRedis(limit.RedisOptions{Fallback: c.LimitsFallback, Changed: func(err error) { logRedis(c, log, err) }})
		return r, []func(context.Context){func(ctx context.Context) { r.Run(ctx, c.LimitsRedis) }}, nil
	}
	local := &limit.Local{}
	switch replicas := c.LimitsReplicas; {
	case replicas.Name != "":
		own, err := limit.OwnAddresses()
		if err != nil {
			return nil, nil, err
		}
		run = append(run, func(ctx context.Context) {
			limit.FollowReplicas(ctx, replicas.Name, own, local.SetShare, func(s limit.Share, err error) { logShare(log, replicas.Name, s, err) })
		})
	case replicas.Count > 1:
		local.SetShare(limit.Share{Index: replicas.Index, Count: replicas.Count}) // the share is rounded down if the index is not known
	}
	if c.UsageFile != "" {
		f, err := limit.OpenFile(c.UsageFile, local, time.Now())
		if err != nil {
			return nil, nil, err
		}
		last := error(nil)
		run = append(run, func(ctx context.Context) {
			f.Run(ctx, local, func(err error) {
				switch {
				case err != nil && last == nil:
					log.Error().Err(err).Msg("usage cannot be saved; limits go on as before")
				case err == nil && last != nil:
					log.Info().Str("file", c.UsageFile).Msg("usage is saved again")
				}
				last = err
			})
		})
	}
	return local, run, nil
}

// saveTime is how long a gate that ends waits for its counts to be saved.
const saveTime = 2 * time.Second

// waitAtMost waits for a group, but not longer than limit: a disk, a Redis or the reader of an output may hang.
func waitAtMost(group *sync.WaitGroup, limit time.Duration) {
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
	}
}

func logRedis(c *config.Config, log zerolog.Logger, err error) {
	if err == nil {
		log.Info().Msg("limits and usage are shared through Redis")
		return
	}
	line := log.Error().Err(err).Str("limits_fallback", c.LimitsFallback.String())
	if errors.Is(err, limit.ErrForgotten) {
		line.Msg("Redis has lost what was counted; limits hold by --limits-fallback for a second, until all gates have written it again")
		return
	}
	line.Msg("Redis does not answer; limits hold by --limits-fallback until it does, and usage is kept here meanwhile")
}

func logShare(log zerolog.Logger, name string, s limit.Share, err error) {
	if err != nil {
		log.Error().Err(err).Str("name", name).Int("replicas", s.Count).Msg("the name of --limits-replicas cannot be looked up; the last number of replicas stays in use")
		return
	}
	log.Info().Str("name", name).Int("replicas", s.Count).Int("replica", s.Index+1).Msg("limits are divided among replicas")
}
