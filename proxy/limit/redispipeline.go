package limit

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomodule/redigo/redis"
)

// pipeline is the one connection to Redis. One goroutine sends the commands of all others, and one receives the replies.
// Commands that wait are sent together: the more there are, the less each costs.
type pipeline struct {
	commands chan *command
	broken   atomic.Pointer[error] // why there is no connection; nil while there is one, or the first is made
}

// command is one that waits for its reply.
type command struct {
	name      string
	arguments []any
	abandoned atomic.Bool // nobody waits any more
	reply     chan reply  // has room for it, so nobody waits for the one who asked
}

func newCommand(name string, arguments ...any) *command {
	return &command{name: name, arguments: arguments, reply: make(chan reply, 1)}
}

type reply struct {
	value any
	err   error
}

// maxCommands is how many commands wait at most to be sent, and how many for their replies.
const maxCommands = 512

var (
	errLate = errors.New("its replies take too long")
	errBusy = errors.New("too many calls wait for its replies")
)

func newPipeline() *pipeline { return &pipeline{commands: make(chan *command, maxCommands)} }

// do has Redis execute a command and returns its reply, unless expired is closed before. It fails at once while there is no
// connection. If it fails, Redis may have executed the command all the same, or does so later; else c can be used again.
func (p *pipeline) do(expired <-chan struct{}, c *command) (any, error) {
	if err := p.broken.Load(); err != nil {
		return nil, *err
	}
	select {
	case p.commands <- c:
	default:
		return nil, errBusy
	}
	select {
	case r := <-c.reply:
		return r.value, r.err
	case <-expired:
		c.abandoned.Store(true)
		return nil, errLate
	}
}

// deadline makes deadlines that requests of about the same time share, so that not each needs a timer.
type deadline struct {
	mu      sync.Mutex
	made    time.Time     // guarded by mu, as is the next
	expired chan struct{} // is closed when it has passed
}

// soon returns what is closed after that time, or up to a tenth of it earlier.
func (d *deadline) soon(wait time.Duration) <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.made) > wait/10 {
		expired := make(chan struct{})
		time.AfterFunc(wait, func() { close(expired) })
		d.made, d.expired = now, expired
	}
	return d.expired
}

// run has a connection until ctx is done, and connects again when it breaks.
func (p *pipeline) run(ctx context.Context, connect func(context.Context) (redis.Conn, error)) {
	for ctx.Err() == nil {
		again := time.Now().Add(probeEvery)
		c, err := connect(ctx)
		if err == nil {
			p.broken.Store(nil)
			err = p.serve(ctx, c)
			_ = c.Close()
		}
		p.broken.Store(&err)
		p.refuse(err)
		select {
		case <-time.After(time.Until(again)):
		case <-ctx.Done():
		}
	}
}

// refuse ends all commands that wait.
func (p *pipeline) refuse(err error) {
	for {
		select {
		case c := <-p.commands:
			c.reply <- reply{err: err}
		default:
			return
		}
	}
}

// serve executes commands until the connection is of no more use, and returns why.
func (p *pipeline) serve(ctx context.Context, c redis.Conn) (unusable error) {
	ctx, stop := context.WithCancelCause(ctx)
	sent := make(chan *command, maxCommands+1) // room for all that are written before they are flushed
	var receiver sync.WaitGroup
	receiver.Go(func() { receive(c, sent, stop) })
	p.send(ctx, c, sent)
	close(sent)
	receiver.Wait()
	return context.Cause(ctx)
}

// send sends commands until ctx is done. Those that wait are sent together. An error stays with the connection, and is received.
func (p *pipeline) send(ctx context.Context, c redis.Conn, sent chan<- *command) {
	write := func(m *command) {
		if !m.abandoned.Load() {
			_ = c.Send(m.name, m.arguments...)
			sent <- m
		}
	}
	for {
		select {
		case <-ctx.Done():
			return
		case first := <-p.commands:
			runtime.Gosched() // so that requests that are about to ask travel with it
			write(first)
			for range len(p.commands) {
				write(<-p.commands)
			}
			_ = c.Flush()
		}
	}
}

// receive hands each command its reply, until there are no more. It tells when the connection is of no more use.
func receive(c redis.Conn, sent <-chan *command, unusable func(error)) {
	for m := range sent {
		value, err := c.Receive()
		var refusal redis.Error
		if errors.As(err, &refusal) && isElsewhere(refusal) {
			err = errors.New("it has to be asked elsewhere: " + string(refusal))
			unusable(err)
		}
		m.reply <- reply{value, err}
		if err != nil && c.Err() != nil {
			unusable(err)
		}
	}
}
