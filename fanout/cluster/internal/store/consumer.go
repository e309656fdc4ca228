package store

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// window is how many messages of a consumer may be under way. At half of that more are asked for.
	window = 500

	// heartbeat is how often the server says that a silent consumer lives, pullExpires how long it
	// remembers that it was asked for messages.
	heartbeat   = time.Second
	pullExpires = 30 * time.Second

	// silenceSteps times silenceStep is how long nothing may come, not even a heartbeat. If the process was
	// stopped for a while, that is one step at most, and what came meanwhile is read in the next.
	silenceSteps = 4
	silenceStep  = heartbeat / 2

	// retryPull is how long to wait when nobody got a request for messages.
	retryPull = 20 * time.Millisecond

	// forgetConsumer is when the server removes a consumer that asks for no messages any more: its
	// process is gone, or the reader of the watch doesn't read.
	forgetConsumer = time.Minute

	// endTimeout bounds the request that removes a consumer.
	endTimeout = time.Second
)

// errSilence ends a watch.
var errSilence = errors.New("nothing came from the consumer, not even a heartbeat")

// A consumer asks for the messages of a stream, first the last one of each subject, and then new ones.
// One goroutine uses it. It isn't one of package jetstream's because those wait for heartbeats to find
// out that a request for messages didn't arrive, as happens to the first one in a cluster.
type consumer struct {
	bucket   *Bucket
	name     string
	inbox    *nats.Subscription
	messages chan *nats.Msg
	pulled   int // messages that were asked for, and haven't come
}

func (b *Bucket) newConsumer(ctx context.Context) (*consumer, error) {
	created, err := b.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverLastPerSubjectPolicy,
		FilterSubject:     ">",
		AckPolicy:         jetstream.AckNonePolicy,
		InactiveThreshold: forgetConsumer,
		Replicas:          1,
		MemoryStorage:     true,
	})
	if err != nil {
		return nil, err
	}
	// Heartbeats and the like have room beside messages.
	c := &consumer{bucket: b, name: created.CachedInfo().Name, messages: make(chan *nats.Msg, 2*window)}
	c.inbox, err = b.nc.ChanSubscribe(b.nc.NewInbox(), c.messages)
	return c, err
}

// pull asks for more messages, if that is due.
func (c *consumer) pull() error {
	if c.pulled > window/2 {
		return nil
	}
	n := window - c.pulled
	c.pulled = window
	request := fmt.Appendf(nil, `{"batch":%d,"expires":%d,"idle_heartbeat":%d}`, n, pullExpires, heartbeat)
	return c.bucket.nc.PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+c.bucket.streamName()+"."+c.name, c.inbox.Subject, request)
}

// isStatus reports whether a message says something of a request for messages, and is none itself.
func isStatus(m *nats.Msg) bool { return len(m.Data) == 0 && m.Header.Get("Status") != "" }

// status takes what is said of a request, and reports whether it comes from the consumer. An error is
// the end.
func (c *consumer) status(m *nats.Msg) (heard bool, err error) {
	switch status := m.Header.Get("Status"); status {
	case "100": // a heartbeat
		return true, nil
	case "503": // nobody got the request: the way to a new consumer isn't known everywhere yet
		time.Sleep(retryPull)
		c.pulled = 0
		return false, nil
	case "408": // the request has expired
		left, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
		c.pulled = max(0, c.pulled-left)
		return true, err
	default:
		return true, fmt.Errorf("the consumer says %s: %s", status, m.Header.Get("Description"))
	}
}

// exists returns an error unless the server still has the consumer.
func (c *consumer) exists(ctx context.Context) error {
	_, err := c.bucket.stream.Consumer(ctx, c.name)
	return err
}

// end removes the consumer, if NATS is there.
func (c *consumer) end() {
	_ = c.inbox.Unsubscribe()
	if !c.bucket.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	_ = c.bucket.stream.DeleteConsumer(ctx, c.name)
}
