package cluster

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/seed004e8d11/websock"
)

// Publish says what becomes of messages that are received: they may be published to NATS. The zero
// Publish doesn't.
//
// The subject of a message is that of its key: Options.Prefix, ".rx.", and the key as Escape returns it.
// Its payload is the message, its header has the fencing token (TokenHeader) and, unless it is a text
// message, the opcode (OpcodeHeader). The messages of a key are published in the order in which they
// were received.
//
// Messages wait in a queue of bounded size. While NATS takes them more slowly than they come, or is away,
// the slots that have received what waits are paused (see websock.Conn.Pause), so that their servers have
// to wait too. A server that doesn't, but drops messages or the connection, needs a larger Buffer.
type Publish struct {
	// To is where messages are published.
	To PublishTo

	// Stream, unless it is nil, is created if there is none of its name, and otherwise left as it is. Name,
	// Subjects and Replicas have defaults: "NAME-rx" and "PREFIX.rx.>", with Options.Name and Prefix, and as
	// many as the cluster's records have. Nothing limits its size unless MaxAge, MaxBytes or MaxMsgs do;
	// with Discard at DiscardNew, slots are paused while it is full. With AllowBatchPublish (NATS 2.14 or
	// newer) and one replica, the messages of a key on which many wait are published in batches. nil: a
	// stream that has the subjects has to exist. It is only for ToJetStream.
	Stream *jetstream.StreamConfig

	// Buffer is how many bytes of messages may wait; each counts 100 more than its payload. Above half
	// of it slots are paused, and at a quarter they are resumed; a single slot is paused above a
	// sixteenth. 0: DefaultBuffer.
	Buffer int64

	// InFlight is of how many keys messages may be sent and not yet acknowledged by JetStream: one of each, or
	// a batch. 0: DefaultInFlight.
	InFlight int

	// AckWait is how long an acknowledgement of JetStream is waited for before the message is sent
	// again, with the same ID. 0: DefaultAckWait.
	AckWait time.Duration

	// FlushTimeout is how long the messages of a key may wait when its connection has ended, to move to
	// another member. 0: DefaultFlushTimeout.
	FlushTimeout time.Duration

	// OnDropped, unless it is nil, is called when messages of a key were not published, and won't be. It
	// must not block.
	OnDropped func(key string, messages int, why DropReason)
}

// The defaults of Publish.
const (
	DefaultBuffer       = 64 << 20
	DefaultInFlight     = 1024
	DefaultAckWait      = 5 * time.Second
	DefaultFlushTimeout = 5 * time.Second
)

// The headers of published messages.
const (
	// OpcodeHeader is "binary" for a binary message. A text message doesn't have it.
	OpcodeHeader = "Websock-Opcode"

	// TokenHeader is the fencing token with which the key was held when the message was received, in
	// decimal. A consumer that has seen a higher one for the key has to ignore the message: it comes
	// from a member that has lost the key and doesn't know it yet.
	TokenHeader = "Websock-Token"
)

// PublishTo is where messages that are received are published.
type PublishTo uint8

// The values of PublishTo.
const (
	ToNowhere PublishTo = iota

	// ToCore is core NATS: who has subscribed gets the messages. Nothing is sent twice. If the connection
	// to NATS is lost, up to 1 MiB of messages may be lost with it: they are counted as DropUnconfirmed.
	ToCore

	// ToJetStream is a stream of JetStream. Each message is sent until it is acknowledged, with the same
	// ID (KEY.TOKEN.NUMBER, in the header Nats-Msg-Id), by which the stream stores it once if that is
	// within its Duplicates, by default two minutes. At most one message of a key, or one batch, is on its
	// way, so that they are stored in order. So without batches (see Stream) a key can't have more messages
	// than there are round trips to the stream, with its replicas: hundreds to thousands a second.
	ToJetStream
)

// A DropReason says why messages were not published.
type DropReason uint8

// The values of DropReason.
const (
	notDropped      DropReason = iota
	DropFull                   // Publish.Buffer was full: slots are paused, but not soon enough
	DropTooLarge               // NATS, or the stream, takes no message of this size
	DropNotHeld                // the member has lost the key: another one may have published later ones
	DropLate                   // they have waited for longer than FlushTimeout, or the context of Shutdown
	DropUnconfirmed            // core NATS: the connection was lost, and they may have been delivered or not
	dropReasons
)

// String returns a name in lower case, with underscores.
func (r DropReason) String() string {
	if r >= dropReasons {
		return "invalid"
	}
	return [...]string{"", "full", "too_large", "not_held", "late", "unconfirmed"}[r]
}

// PublishStats counts what a member has done with messages that it has received.
type PublishStats struct {
	Received   uint64                // messages
	Published  uint64                // of these: NATS has confirmed them
	Dropped    map[DropReason]uint64 // of these: they won't be published
	Duplicates uint64                // messages that the stream had already when it acknowledged them
	Retries    uint64                // messages that were sent again
	Pauses     uint64                // of slots

	Waiting      int   // messages, now
	WaitingBytes int64 // as Publish.Buffer counts them
	Paused       int   // slots, now
}

// A publisher publishes what slots receive.
type publisher struct {
	publisherOptions
	queue   *rxQueue
	encoder *encoder
	stop    chan struct{} // closed when run is to return
	stopRun func()        // closes stop
	done    chan struct{} // closed when run has returned
}

// publisherOptions is what a publisher needs of a Cluster.
type publisherOptions struct {
	Publish
	name     string
	prefix   string
	replicas int // of a stream that doesn't say it

	// conn should be a connection that serves for nothing else: while NATS reads slowly, each use of
	// it waits.
	conn *nats.Conn

	// holds returns the fencing token with which the member holds a key at this moment.
	holds func(key string) (token uint64, ok bool)

	log func(slog.Level, string, ...slog.Attr)
}

// startPublisher starts a publisher. It returns nil if there is nothing to do.
func startPublisher(ctx context.Context, o publisherOptions) (*publisher, error) {
	if o.To == ToNowhere {
		return nil, nil
	}
	o.complete()
	p := &publisher{
		publisherOptions: o,
		queue:            newRxQueue(&o.Publish),
		encoder:          newEncoder(o.prefix + ".rx."),
		stop:             make(chan struct{}),
		done:             make(chan struct{}),
	}
	p.stopRun = sync.OnceFunc(func() { close(p.stop) })
	run := p.runCore
	if o.To == ToJetStream {
		s, err := newStreamPublisher(ctx, p)
		if err != nil {
			return nil, err
		}
		run = s.run
	}
	go func() {
		defer close(p.done)
		run()
	}()
	return p, nil
}

// complete sets the defaults.
func (p *Publish) complete() {
	p.Buffer = cmp.Or(p.Buffer, DefaultBuffer)
	p.InFlight = cmp.Or(p.InFlight, DefaultInFlight)
	p.AckWait = cmp.Or(p.AckWait, DefaultAckWait)
	p.FlushTimeout = cmp.Or(p.FlushTimeout, DefaultFlushTimeout)
}

// receive takes a message of a slot. payload is valid until it returns. It doesn't block.
func (p *publisher) receive(from source, key string, op websock.Opcode, payload []byte) {
	token, ok := p.holds(key)
	if !ok {
		p.queue.refuse(key, DropNotHeld)
		return
	}
	p.queue.add(from, key, token, op, payload)
}

// flushed has f called when all messages of a key whose connection has ended are published, or dropped,
// perhaps at once.
func (p *publisher) flushed(key string, f func()) { p.queue.flushed(key, f) }

// cut drops everything: the session is lost.
func (p *publisher) cut() { p.queue.abandon(DropNotHeld) }

// close publishes what waits, until ctx ends. Nothing is received afterwards, and OnDropped is not called
// any more. It may be called again.
func (p *publisher) close(ctx context.Context) {
	p.queue.close()
	select {
	case <-p.queue.empty:
	case <-ctx.Done():
		p.queue.abandon(DropLate)
		<-p.queue.empty
	}
	p.stopRun()
	waitFor(ctx, p.done)
}

// stats returns the counts so far.
func (p *publisher) stats() PublishStats { return p.queue.snapshot() }

// stillHeld reports whether a message may be published: its key is held as it was when it came.
func (p *publisher) stillHeld(m *taken) bool {
	token, ok := p.holds(m.key.name)
	return ok && token == m.token
}
