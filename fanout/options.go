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

// Options says what a Group connects to and how. Either Targets or Choose has to be set, unless Size is
// negative; everything else is optional. Start copies Options; what they point to must not be changed
// while the Group runs.
//
// The functions for one slot are called one after another: Choose, Prepare, Trace, OnConnect, then
// OnMessage or OnData, then OnDown, and so on from the beginning, but not before OnDown has returned.
// Choose is called anew if the slot was stopped and resumed before an attempt has begun.
// Only OnUnsent is called at any time, for instance by Broadcast. Functions for different slots may
// be called by several goroutines at once. None is called with a lock held, none for a slot after its
// Slot.Context has ended, and none after Shutdown has returned; some may be called before Start has
// returned, see Slot.Group. A function that calls runtime.Goexit, as testing.T.Fatal does, ends the
// attempt or connection for which it was called: OnDown gets a *websock.HandlerError.
type Options struct {
	// Targets are used in turn: slot i connects to Targets[i%len(Targets)]. With a Failover it prefers
	// that one, or one by their weights.
	Targets []Target

	// Choose, in place of Targets, returns before each attempt what the slot is to connect to. It
	// must not block: other slots wait for it.
	Choose func(s *Slot) Target

	// Size is the number of slots with which the Group begins. 0: one for each of Targets, or none
	// with Choose. Negative: none. Group.Add and Group.Resize change the number. A Group that begins
	// without slots needs neither Targets nor Choose, if each slot that is added has Targets of its own.
	Size int

	// Key returns the key of the slot with a number, for Group.Send and Group.Find. It is called for the
	// slots of Size and of Group.Resize. Keys must differ and not be empty. nil: the number in decimal.
	Key func(number int) string

	// Failover, unless it is nil, has a slot choose again among Targets before each attempt: see Failover
	// in the package's documentation.
	Failover *Failover

	// Rotation, unless it is nil, has each attempt connect to the next address of its host: see
	// Addresses in the package's documentation.
	Rotation *Rotation

	Pace    Pace    // of dialing
	Backoff Backoff // before dialing again

	// Ping is the time between two pings on a connection, which measure the round trip. At most
	// one is under way, and sending one never waits for the peer. 0: DefaultPing. Negative: no
	// pings.
	//
	// Where the Target has a Mux, one PING of an HTTP/2 or HTTP/3 connection serves for all of its slots. It
	// is sent when nothing was received on the connection for Ping, and doesn't measure the round trip.
	// Config.KeepAlive, unless it is zero, then takes the place of Ping and PingTimeout. See
	// websock.KeepAlive; for a ping of each slot, set PingMessage.
	Ping time.Duration

	// PingTimeout is the time after a ping without a sign of life, after which the connection is
	// aborted; the error of OnDown then has websock.ErrIdle in its chain. A sign of life is
	// anything received, not only a pong, and that the peer takes what is sent while more of it
	// waits. A connection that is paused (websock.Conn.Pause) is not aborted, and a ping that was sent
	// before Resume needs no answer: the next one does.
	// 0: DefaultPingTimeout. Negative: no connection is aborted. With a Mux the connection
	// ends, with all of its slots, when nothing was received on it for Ping and PingTimeout together.
	PingTimeout time.Duration

	// PingMessage, unless it is nil, is sent in place of a ping, for servers that expect a
	// heartbeat of their own. The round trip isn't measured then. PingOpcode is the message's; 0:
	// see websock.KeepAlive.
	PingMessage []byte
	PingOpcode  websock.Opcode

	// QueueBudget bounds how many bytes wait to be sent on all slots together: in their
	// connections and, while they aren't connected (SendBuffer) or if the transport can't queue,
	// in the Group. Sends beyond it are refused on every slot, with an error that is
	// websock.ErrSendQueueFull. 0: only the limit of each slot applies.
	//
	// That limit, Limits.SendQueue, says little about the sum, also because a message of any size
	// is accepted when nothing waits on the slot: one send of 4 MiB to each of 200 peers that
	// don't read holds 200 × 4 MiB = 839 MB, and some more for headers and the unused part of
	// buffers. With a QueueBudget of 64 MiB, 15 of these sends are accepted. What waits in a
	// connection that compresses is counted as compressed. What is sent through Slot.Conn is
	// counted when something else is sent on that slot. A broadcast counts for every slot on which
	// it waits, although the Group keeps one copy. With a Mux about 256 KiB may wait in each HTTP/2
	// connection in addition.
	QueueBudget int64

	// SendBuffer is how many bytes of messages a slot keeps while it isn't connected; each message
	// counts 40 bytes more than its payload. 0: none, and sends return ErrDown.
	SendBuffer int

	// Prepare, unless it is nil, is called before each attempt with a copy of the Target that it may
	// change, for instance to put a fresh token into Config.Header. (That map is shared with other
	// attempts: replace it rather than change it.) Prepare may block until ctx ends. Meanwhile the
	// attempt counts for Pace, with the host that the Target had. An error makes the attempt fail.
	Prepare func(ctx context.Context, s *Slot, t *Target) error

	// OnConnect, unless it is nil, is called when a connection is open, before anything else is
	// sent or received on it. It may send and receive as on a connection without a Handler: log
	// in, subscribe. It may block until ctx ends, which also ends its sends and receives. It must
	// not keep or close c. An error makes the attempt fail: the connection is closed, within the
	// Limits.CloseTimeout of its Config, and then OnDown is called.
	OnConnect func(ctx context.Context, s *Slot, c *websock.Conn) error

	// OnMessage is called with every message received. msg is valid until it returns, and may be
	// changed. On an event loop it must not block, since all connections of the loop would wait, nor
	// with a Mux, since all slots of the connection would.
	// Messages that it sends on the slot are written together when it returns.
	OnMessage func(s *Slot, op websock.Opcode, msg []byte)

	// OnData, in place of OnMessage, is called with payload as it arrives: see websock.Handler.
	OnData func(s *Slot, h websock.Header, payload []byte)

	// OnPing, unless it is nil, is called with the payload of every ping received, valid until it
	// returns, in order with the calls of OnMessage. The ping is answered in any case.
	OnPing func(s *Slot, payload []byte)

	// OnDown, unless it is nil, is called when an attempt has failed or a connection has ended, also by
	// Shutdown, Slot.Remove, Slot.Abort, Slot.Stop and Slot.Reconnect. err is a *DownError, whose Reason
	// says which, and whose chain says why: see websock.Open and websock.Handler. next is the time after
	// which the slot is dialed again; negative: the slot has stopped. It must not block.
	OnDown func(s *Slot, err error, next time.Duration)

	// OnUnsent, unless it is nil, is called when a broadcast passes a slot over, and when messages
	// that a slot had kept won't be sent. messages is their number. err says why: it is the error
	// that Send would have returned, or the one with which the connection has ended. It must not
	// block.
	OnUnsent func(s *Slot, messages int, err error)

	// Permanent decides whether a slot stops for good. err is what OnDown gets; it has the
	// server's answer if there was one, see websock.HandshakeError. A slot with several Targets may go on
	// with another one: see Failover in the package's documentation. nil: the function Permanent.
	Permanent func(err error) bool

	// RetryAfter, unless it is nil, returns for how long the server asks not to be dialed after err,
	// which is what OnDown gets: where close codes of its own, from 4000 to 4999, or the reason of a close
	// frame say so. The slot waits that time and the random one of Backoff, or longer if Retry-After or
	// close code 1012 or 1013 ask for that. It isn't called for what is permanent, nor after Slot.Stop and
	// the like, and a slot that can go to another Target that works doesn't wait. It must not block. 0 or
	// negative: the server asks for nothing.
	RetryAfter func(err error) time.Duration

	// Recover, unless it is nil, is called with the slot and the value of a panic in another
	// function of Options, by the goroutine that has panicked. The attempt or connection of the
	// slot then ends with a *websock.HandlerError in the chain of its error; other slots are not
	// affected. A panic of an OnUnsent that Broadcast calls ends nothing. nil: a panic ends the
	// process.
	Recover func(s *Slot, v any)

	// Trace, unless it is nil, returns the functions that are called at the steps of an attempt:
	// see websock.Trace. If it returns nil, Config.Trace is used.
	Trace func(s *Slot) *websock.Trace

	// Logger gets a record, at level Debug, of every connection that comes up or is lost and of
	// every failed attempt; at Info, of a limit that delays dialing for longer than a second, of the
	// connections to a host if several are lost within a second, how many those are and with which error
	// most of them have ended, and of the end of an outage; at Warn, of a host's first failure and each
	// time their number in a row has doubled, with the URL without its query, and of each slot that has
	// stopped. While connections go on being lost, their lines come less and less often, down to one a
	// minute. nil: nothing is logged.
	Logger *slog.Logger
}

// The defaults of Options.
const (
	DefaultPing        = 30 * time.Second
	DefaultPingTimeout = 10 * time.Second
)

var (
	errNoTarget = errors.New("fanout: neither Options.Targets nor Options.Choose is set")
	errTargets  = errors.New("fanout: Options have both Targets and Choose")
	errSize     = errors.New("fanout: the number of slots is below 0, or too large")
	errRate     = errors.New("fanout: Pace.Rate is not a number")
	errBuffer   = errors.New("fanout: Options.SendBuffer is below 0")
	errReceive  = errors.New("fanout: Options have both OnMessage and OnData")
	errNoKey    = errors.New("fanout: the key of a slot is empty")
)

// maxSlots is how many slots there can be: their numbers have 32 bits. Where an int has no more, fewer
// slots fill the memory.
const maxSlots = min(math.MaxInt32, math.MaxInt/64)

// complete checks the options and sets the defaults.
func (o *Options) complete() error {
	if o.Size == 0 {
		o.Size = len(o.Targets)
	}
	switch {
	case len(o.Targets) > 0 && o.Choose != nil:
		return errTargets
	case len(o.Targets) == 0 && o.Choose == nil && o.Size >= 0:
		return errNoTarget
	case o.Size > maxSlots:
		return errSize
	case math.IsNaN(o.Pace.Rate):
		return errRate
	case o.SendBuffer < 0:
		return errBuffer
	case o.OnMessage != nil && o.OnData != nil:
		return errReceive
	}
	o.Size = max(o.Size, 0)
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

// heartbeat returns how connections are kept alive. complete was called before.
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

// leavesKeepAliveTo reports whether one PING of m for all slots of a connection serves in place of a
// heartbeat for each slot. m may be nil.
func (o *Options) leavesKeepAliveTo(m *websock.Mux) bool {
	return m != nil && o.Ping > 0 && o.PingMessage == nil && (o.PingOpcode == 0 || o.PingOpcode == websock.OpPing)
}

// muxKeepAlive returns what has a Mux do what Ping and PingTimeout ask for.
func (o *Options) muxKeepAlive() websock.KeepAlive {
	k := websock.KeepAlive{Ping: o.Ping, Timeout: o.Ping + o.PingTimeout}
	if o.PingTimeout == 0 {
		k.Timeout = -1
	}
	return k
}

// orDefault replaces a zero value by a default.
func orDefault[T comparable](value, byDefault T) T {
	var zero T
	if value == zero {
		return byDefault
	}
	return value
}
