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
// Waiting commands are sent together: the more there are, the less each costs.
type pipeline struct {
	commands chan *command
	broken   atomic.Pointer[error] // why there is no connection; nil while there is one, or the first is being made
}

// command is a command with room for its reply.
type command struct {
	name      string
	arguments []any
	abandoned atomic.Bool // nobody waits any more
	reply     chan reply  // buffered, so that receive never waits for the goroutine that asked
}

func newCommand(name string, arguments ...any) *command {
	return &command{name: name, arguments: arguments, reply: make(chan reply, 1)}
}

type reply struct {
	value any
	err   error
}

// maxCommands is the most commands that wait to be sent, and the most that wait for their replies.
const maxCommands = 512

var (
	errLate = errors.New("its replies take too long")
	errBusy = errors.New("too many calls wait for its replies")
)

func newPipeline() *pipeline { return &pipeline{commands: make(chan *command, maxCommands)} }

// do has Redis execute a command and returns its reply, or errLate if expired is closed first. It fails at once while
// there is no connection. After an error, Redis may have executed the command all the same, or may do so later, and c
// must not be used again.
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

// deadline makes deadlines that requests of about the same time share, so that not every request needs a timer.
type deadline struct {
	mu      sync.Mutex
	made    time.Time     // guarded by mu, as is expired
	expired chan struct{} // closed when the time has passed
}

// soon returns a channel that is closed after wait, or up to a tenth of it earlier.
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

// run keeps a connection until ctx is done, and connects again when it breaks.
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
		p.failAll(err)
		select {
		case <-time.After(time.Until(again)):
		case <-ctx.Done():
		}
	}
}

// failAll fails all commands that wait to be sent.
func (p *pipeline) failAll(err error) {
	for {
		select {
		case c := <-p.commands:
			c.reply <- reply{err: err}
		default:
			return
		}
	}
}

// serve executes commands until the connection is unusable, and returns why.
func (p *pipeline) serve(ctx context.Context, c redis.Conn) (unusable error) {
	ctx, stop := context.WithCancelCause(ctx)
	sent := make(chan *command, maxCommands+1) // room for everything that is written before a flush
	var receiver sync.WaitGroup
	receiver.Go(func() { receive(c, sent, stop) })
	p.send(ctx, c, sent)
	close(sent)
	receiver.Wait()
	return context.Cause(ctx)
}

// send sends commands until ctx is done, waiting ones together. It need not handle errors: the connection keeps them, and
// receive gets them.
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
			runtime.Gosched() // lets requests that are about to ask join this batch
			write(first)
			for range len(p.commands) {
				write(<-p.commands)
			}
			_ = c.Flush()
		}
	}
}

// receive hands each command its reply, until sent is closed. It calls unusable when the connection is of no more use.
func receive(c redis.Conn, sent <-chan *command, unusable func(error)) {
	for m := range sent {
		value, err := c.Receive()
		if refusal, ok := errors.AsType[redis.Error](err); ok && isElsewhere(refusal) {
			err = errors.New("it has to be asked elsewhere: " + string(refusal))
			unusable(err)
		}
		m.reply <- reply{value, err}
		if err != nil && c.Err() != nil {
			unusable(err)
		}
	}
}
