package cluster

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"net"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// ReceiveStats counts the messages that a member has taken from NATS to send them.
type ReceiveStats struct {
	Received uint64 // messages
	Sent     uint64 // of these: a connection has taken them
	Kept     uint64 // of these: the slot keeps them until it is connected
	Down     uint64 // of these: the slot wasn't connected
	Refused  uint64 // of these: they can't be sent, or too many waited
	Lost     uint64 // beside these: messages that came even faster than they could be refused

	Subscribed int // keys, now
}

// The bounds of what a receiver keeps. It refuses what is beyond, unless too much comes even for that.
const (
	receiveMessages = 1024     // of each worker
	receiveBytes    = 16 << 20 // of all workers together
	receiveBurst    = 16384    // messages before they are given to workers
)

// A receiver takes messages for keys from NATS and sends them. It subscribes to each key that the member
// holds, so that a message goes to the member that holds its key, and NATS can say that there is none.
type receiver struct {
	receiverOptions
	subject  string         // begins those of messages
	messages chan *nats.Msg // of all subscriptions
	workers  []chan keyMessage
	bytes    atomic.Int64 // that wait for workers
	seed     maphash.Seed
	cancel   context.CancelFunc
	running  sync.WaitGroup

	change chan struct{} // gets a value when there is something in changed, with room for one

	received, sent, kept, down, refused atomic.Uint64

	mu            sync.Mutex
	wanted        map[string]struct{}
	changed       fifo[string]                  // keys that may have to be subscribed, or no longer
	subscriptions map[string]*nats.Subscription // changed by the goroutine of subscribe alone
	lost          uint64                        // by subscriptions that have ended
}

// receiverOptions is what a receiver needs of a Cluster.
type receiverOptions struct {
	prefix string
	conn   *nats.Conn

	// holds reports whether the member holds a key at this moment.
	holds func(key string) (token uint64, ok bool)

	// send sends to the slot of a key, which may keep the message until it is connected. It doesn't
	// block.
	send func(key string, op websock.Opcode, p []byte) (kept bool, err error)

	log func(slog.Level, string, ...slog.Attr)
}

// A keyMessage is a message for a key.
type keyMessage struct {
	key string
	msg *nats.Msg
}

func startReceiver(o receiverOptions) *receiver {
	ctx, cancel := context.WithCancel(context.Background())
	r := &receiver{
		receiverOptions: o,
		subject:         o.prefix + ".tx.",
		messages:        make(chan *nats.Msg, receiveBurst),
		workers:         make([]chan keyMessage, min(runtime.GOMAXPROCS(0), 8)),
		seed:            maphash.MakeSeed(),
		cancel:          cancel,
		wanted:          map[string]struct{}{},
		change:          make(chan struct{}, 1),
		subscriptions:   map[string]*nats.Subscription{},
	}
	r.running.Go(func() { r.subscribe(ctx) })
	r.running.Go(func() { r.distribute(ctx) })
	for i := range r.workers {
		r.workers[i] = make(chan keyMessage, receiveMessages)
		r.running.Go(func() { r.work(r.workers[i]) })
	}
	return r
}

// open has messages for a key taken. It doesn't wait until NATS knows.
func (r *receiver) open(key string) { r.want(key, true) }

// close has no more messages for a key taken.
func (r *receiver) close(key string) { r.want(key, false) }

func (r *receiver) want(key string, wanted bool) {
	r.mu.Lock()
	if wanted {
		r.wanted[key] = struct{}{}
	} else {
		delete(r.wanted, key)
	}
	r.changed.push(key)
	r.mu.Unlock()
	select {
	case r.change <- struct{}{}:
	default:
	}
}

// nextChange returns a key, and whether it is to be subscribed.
func (r *receiver) nextChange() (key string, wanted, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed.len() == 0 {
		return "", false, false
	}
	key = r.changed.pop()
	_, wanted = r.wanted[key]
	return key, wanted, true
}

// subscribe subscribes and unsubscribes keys until ctx ends. It has a goroutine of its own, since the
// connection may be blocked.
func (r *receiver) subscribe(ctx context.Context) {
	for {
		for key, wanted, ok := r.nextChange(); ok; key, wanted, ok = r.nextChange() {
			r.update(key, wanted)
		}
		select {
		case <-r.change:
		case <-ctx.Done():
			for key := range r.subscriptions {
				r.update(key, false)
			}
			return
		}
	}
}

// update subscribes a key, or ends that.
func (r *receiver) update(key string, wanted bool) {
	s := r.subscriptions[key]
	switch {
	case wanted && s == nil:
		s, err := r.subscribeTo(r.subject + assign.Escape(key))
		if err != nil {
			r.log(slog.LevelWarn, "can't take messages for a key", slog.String("key", key), slog.Any("error", err))
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.subscriptions[key] = s
	case !wanted && s != nil:
		lost := lostBy(s)
		_ = s.Unsubscribe()
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.subscriptions, key)
		r.lost += lost
	}
}

func (r *receiver) subscribeTo(subject string) (*nats.Subscription, error) {
	if len(subject) > maxSubject {
		return nil, errLongKey
	}
	return r.conn.ChanSubscribe(subject, r.messages)
}

// lostBy returns how many messages of a subscription came faster than they were distributed.
func lostBy(s *nats.Subscription) uint64 {
	n, err := s.Dropped()
	if err != nil {
		return 0
	}
	return uint64(n)
}

// distribute gives messages to the workers. Those of a key go to one of them, to be sent in order.
func (r *receiver) distribute(ctx context.Context) {
	defer func() {
		for _, w := range r.workers {
			close(w)
		}
	}()
	for {
		select {
		case msg := <-r.messages:
			r.give(msg)
		case <-ctx.Done():
			return
		}
	}
}

func (r *receiver) give(msg *nats.Msg) {
	r.received.Add(1)
	key, ok := assign.Unescape(msg.Subject[len(r.subject):])
	if !ok {
		r.answer(msg, false, errNoKey)
		return
	}
	size := int64(len(msg.Data)) + messageCost
	if r.bytes.Add(size) <= receiveBytes {
		select {
		case r.workers[maphash.String(r.seed, key)%uint64(len(r.workers))] <- keyMessage{key, msg}:
			return
		default:
		}
	}
	r.bytes.Add(-size)
	r.answer(msg, false, errBusy)
}

func (r *receiver) work(messages <-chan keyMessage) {
	for m := range messages {
		kept, err := r.sendTo(m.key, m.msg)
		r.answer(m.msg, kept, err)
		r.bytes.Add(-int64(len(m.msg.Data)) - messageCost)
	}
}

// sendTo sends a message to the slot of a key, if the key is held at this moment.
func (r *receiver) sendTo(key string, msg *nats.Msg) (kept bool, err error) {
	op, err := opcodeOf(msg)
	if err != nil {
		return false, err
	}
	if _, ok := r.holds(key); !ok {
		return false, fanout.ErrDown
	}
	return r.send(key, op, msg.Data)
}

// opcodeOf returns the opcode of a message to be sent: that of its header, by default text.
func opcodeOf(msg *nats.Msg) (websock.Opcode, error) {
	switch name := msg.Header.Get(OpcodeHeader); name {
	case "", "text":
		return websock.OpText, nil
	case "binary":
		return websock.OpBinary, nil
	default:
		return 0, &SendError{RefusedOpcode, "the opcode is neither text nor binary"}
	}
}

// answer counts what has become of a message, and tells who has sent it, if it was a request.
func (r *receiver) answer(msg *nats.Msg, kept bool, err error) {
	var reply []byte
	switch {
	case err == nil && kept:
		r.kept.Add(1)
		reply = replyKept
	case err == nil:
		r.sent.Add(1)
		reply = replySent
	case isDown(err):
		r.down.Add(1)
		reply = replyDown
	default:
		r.refused.Add(1)
		reply = replyRefused(err)
	}
	if msg.Reply != "" {
		_ = r.conn.Publish(msg.Reply, reply)
	}
}

// isDown reports whether an error says that a key has no connection, or none any more.
func isDown(err error) bool {
	for _, down := range []error{fanout.ErrDown, fanout.ErrUnknownKey, fanout.ErrRemoved, net.ErrClosed} {
		if errors.Is(err, down) {
			return true
		}
	}
	var ended *websock.CloseError
	return errors.As(err, &ended)
}

// stop ends everything, but the connection.
func (r *receiver) stop() {
	r.cancel()
	r.running.Wait()
}

// stats returns the counts so far.
func (r *receiver) stats() ReceiveStats {
	s := ReceiveStats{
		Received: r.received.Load(),
		Sent:     r.sent.Load(),
		Kept:     r.kept.Load(),
		Down:     r.down.Load(),
		Refused:  r.refused.Load(),
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.Subscribed, s.Lost = len(r.subscriptions), r.lost
	for _, subscription := range r.subscriptions {
		s.Lost += lostBy(subscription)
	}
	return s
}
