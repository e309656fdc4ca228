package fanout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/keepalive"
)

// Options says what a Group connects to and how. Either Targets or Choose is needed, and
// nothing else.
//
// The functions for one slot are called one after another: Choose, Prepare, Trace, OnConnect,
// then OnMessage or OnData, then OnDown, and again from the beginning, but not before OnDown has
// returned. OnUnsent alone comes when it is found out, from Broadcast for instance. For different
// slots they may be called from several goroutines at once. None is called with a lock held, or
// after Shutdown has returned; and Slot.Group has the Group for those that are called before
// Start has returned. A function that calls runtime.Goexit, as testing.T.Fatal does, ends the
// attempt or connection that it was called for, with an *websock.HandlerError in OnDown.
type Options struct {
	// Targets are taken in turn: slot i connects to Targets[i%len(Targets)].
	Targets []Target

	// Choose, in place of Targets, says before each attempt what the slot is to connect
	// to. It must not wait.
	Choose func(s *Slot) Target

	// Size is the number of slots. 0: one for each of Targets.
	Size int

	// Key names the slot of a number, 0 to Size-1, for Group.Send and Group.Find. Keys
	// must differ. nil: the number in decimal.
	Key func(number int) string

	Pace    Pace    // of dialling
	Backoff Backoff // before dialling again

	// Ping is the time between two pings, which measure the round trip. At most one is under
	// way, and it waits for nobody. 0: 30 s. Negative: no pings.
	Ping time.Duration

	// PingTimeout is the time after a ping without a sign of life, after which a connection
	// is given up. A sign of life is anything received, a pong or else, and that the peer
	// takes what is sent, while more of it waits. The connection is lost with websock.ErrIdle
	// in the chain of the error. 0: 10 s. Negative: none is given up.
	PingTimeout time.Duration

	// PingMessage, unless it is nil, is sent in place of a ping, for servers that want a
	// heartbeat of their own; the round trip isn't measured then. PingOpcode is how: see
	// websock.KeepAlive.
	PingMessage []byte
	PingOpcode  websock.Opcode

	// QueueBudget bounds how many bytes wait to be sent on all slots together: in their
	// connections, and in the Group while they aren't connected (SendBuffer) or where the
	// transport doesn't queue. Above it a send is refused, on every slot, with an error that is
	// websock.ErrSendQueueFull. 0: there is no bound but that of each slot.
	//
	// That of each slot, Limits.SendQueue, doesn't bound what they hold together, also since a
	// message is accepted whatever its size when nothing waits on the slot: one send of 4 MiB
	// to each of 200 peers that don't read holds 200 × 4 MiB = 839 MB, and some for headers
	// and buffers that are larger than what they hold. With a QueueBudget of 64 MiB, 15 of
	// them are accepted. What a connection that compresses holds is counted as compressed;
	// what is sent through Slot.Conn, only once something else is sent on that slot. A
	// broadcast counts for every slot on which it waits, though the Group keeps one copy.
	QueueBudget int64

	// SendBuffer is how many bytes of messages a slot keeps while it isn't connected; each
	// counts 40 more than its payload. 0: none, sends then return ErrDown.
	SendBuffer int

	// Prepare, unless it is nil, is called before each attempt with a Target of its own to
	// change: to put a fresh token into its header, say. It may wait, until ctx ends; for
	// Pace.PerHost the attempt counts already, for the host that the Target had. An error
	// is a failure of the attempt.
	Prepare func(ctx context.Context, s *Slot, t *Target) error

	// OnConnect, unless it is nil, is called when a connection is open, before anything
	// else is sent on it and before anything is received. It may both send and receive, as
	// on a connection without a Handler: log in, subscribe. It may wait, until ctx ends,
	// which also ends its sends and receives. It must not keep or close c. An error is a
	// failure of the attempt.
	OnConnect func(ctx context.Context, s *Slot, c *websock.Conn) error

	// OnMessage is called with every message received. msg is valid until it returns, and
	// may be changed. The calls for a slot come one after another. On an event loop it
	// must not wait: all the connections of the loop would. What it sends leaves in one
	// write.
	OnMessage func(s *Slot, op websock.Opcode, msg []byte)

	// OnData, in place of OnMessage, is called with payload as it arrives: see
	// websock.Handler.
	OnData func(s *Slot, h websock.Header, payload []byte)

	// OnPing, unless it is nil, is called with the payload of every ping received, valid until
	// it returns, in its place between the calls of OnMessage. The ping is answered without it.
	OnPing func(s *Slot, payload []byte)

	// OnDown, unless it is nil, is called when an attempt failed or the connection was
	// lost, or when Shutdown has ended either. err is a *DownError, whose Reason says which
	// of the three, and has in its chain why: see websock.Open and websock.Handler. next is
	// the time after which the slot is dialled again; negative: never, the slot has stopped.
	// It must not wait.
	OnDown func(s *Slot, err error, next time.Duration)

	// OnUnsent, unless it is nil, is called when a broadcast passes a slot over, and when
	// messages that a slot had kept won't be sent. messages says how many. err says why:
	// what Send would have returned, or how the connection was lost. It must not wait.
	OnUnsent func(s *Slot, messages int, err error)

	// Permanent decides whether the slot stops for good after the error, which is one
	// that OnDown gets, with the server's answer in it if there was one: see
	// websock.HandshakeError. nil: Permanent, the function.
	Permanent func(err error) bool

	// Recover, unless it is nil, is told of a panic in another function of Options, with what
	// was given to panic. The attempt or the connection of the slot then ends, with an
	// *websock.HandlerError in the chain of its error, and the process and the other slots go
	// on. A panic of an OnUnsent that Broadcast calls ends nothing. Recover is called by the
	// goroutine that panicked. nil: a panic ends the process.
	Recover func(s *Slot, v any)

	// Trace, unless it is nil, returns what is told of the steps of each attempt; see
	// websock.Trace. It may return nil, and Config.Trace is then left alone.
	Trace func(s *Slot) *websock.Trace

	// Logger is told what happens to connections: at level Debug what is ordinary; at Info
	// what holds up dialling, and the end of an outage; at Warn the first failure of a host
	// and each doubling of their number, with its URL without the query, and each slot that
	// has stopped. nil: nothing is logged.
	Logger *slog.Logger
}

// The defaults of Options.
const (
	DefaultPing        = 30 * time.Second
	DefaultPingTimeout = 10 * time.Second
)

var (
	errNoTarget = errors.New("fanout: Options need either Targets or Choose")
	errSize     = errors.New("fanout: Options.Size is below 1, or above 2^31-1")
	errRate     = errors.New("fanout: Pace.Rate is not a number")
	errBuffer   = errors.New("fanout: Options.SendBuffer is below 0")
	errReceive  = errors.New("fanout: Options have both OnMessage and OnData")
	errKey      = errors.New("fanout: two slots have the same key")
)

// complete checks the options and puts defaults in.
func (o *Options) complete() error {
	if o.Size == 0 {
		o.Size = len(o.Targets)
	}
	switch {
	case (len(o.Targets) > 0) == (o.Choose != nil):
		return errNoTarget
	case o.Size < 1 || o.Size > math.MaxInt32:
		return errSize
	case math.IsNaN(o.Pace.Rate):
		return errRate
	case o.SendBuffer < 0:
		return errBuffer
	case o.OnMessage != nil && o.OnData != nil:
		return errReceive
	}
	for i := range o.Targets {
		if _, err := o.Targets[i].host(); err != nil {
			return err
		}
	}
	o.Pace.complete()
	o.Backoff.complete()
	o.Ping = durationOr(o.Ping, DefaultPing)
	if o.PingTimeout < 0 {
		o.PingTimeout = 0
	} else {
		o.PingTimeout = durationOr(o.PingTimeout, DefaultPingTimeout)
	}
	if o.Permanent == nil {
		o.Permanent = Permanent
	}
	return nil
}

// heartbeat returns how connections are kept alive. The options are complete.
func (o *Options) heartbeat() (*keepalive.Policy, error) {
	p := &keepalive.Policy{
		Ping:    o.Ping,
		Timeout: o.PingTimeout,
		Regular: true,
		Opcode:  o.PingOpcode,
		Payload: o.PingMessage,
	}
	if err := p.Complete(); err != nil {
		return nil, fmt.Errorf("fanout: Options.PingMessage can't be sent: %w", err)
	}
	return p, nil
}

// orDefault replaces a zero.
func orDefault[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}
