package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/member"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/store"
)

// ErrNotHeld is why an attempt of a slot fails, and what a send returns, if another member may hold the
// key by now.
var ErrNotHeld = errors.New("cluster: this member doesn't hold the key")

// A Cluster is this process as a member of a cluster. Its methods may be called from any goroutine, also
// from the functions of Options.Fanout.
type Cluster struct {
	options  Options
	id       string
	nats     *natsAccess
	bucket   *store.Bucket
	renewals *renewalCounter // the bucket, as the member uses it
	group    *fanout.Group
	holder   *holder
	member   *member.Member

	publisher *publisher // nil: what is received is not published
	receiver  *receiver  // nil: no messages are taken from NATS

	counts   counters
	joined   chan struct{}      // closed when this process has become a member for the first time
	ctx      context.Context    // ends when Shutdown has ended everything
	stop     context.CancelFunc //
	stopKeys context.CancelFunc // ends the watch of Keys; nil: it has not begun
	watched  chan struct{}      // closed when that has returned
	ran      chan struct{}      // closed when the member's Run has returned
	runErr   error              // with which it has returned
}

// Start joins the cluster, or begins one, when Keys are known. It returns when this process is a member,
// before it holds any keys; from then on the functions of Options.Fanout may be called. ctx bounds only Start. NATS
// servers that are slow to let it in have half a minute. An error says which of the options can't be used
// (*OptionError) or differ from those of the other members (ErrOtherSettings), or that NATS can't be reached or
// used.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	if o.Keys == nil {
		return nil, &OptionError{"Keys", "is missing"}
	}
	c := &Cluster{
		options: o,
		id:      o.Member + "-" + strings.ToLower(rand.Text()[:10]),
		joined:  make(chan struct{}),
		watched: make(chan struct{}),
		ran:     make(chan struct{}),
	}
	c.ctx, c.stop = context.WithCancel(context.Background())
	if err := c.start(ctx); err != nil {
		if c.member != nil {
			_ = c.leave(ctx) // or the others would count this member, and wait for it
		}
		_ = c.end(ctx)
		return nil, err
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	if c.nats, err = openNATS(ctx, &c.options); err != nil {
		return err
	}
	c.bucket, err = store.Open(ctx, c.nats.conn, store.Config{
		Bucket:   bucketOf(c.options.Name),
		Replicas: c.nats.replicas,
		Logger:   c.options.Logger,
	})
	if err != nil {
		return err
	}
	c.holder = newHolder(c, c.options.Partitions)
	if err = c.startMessages(ctx); err != nil {
		return err
	}
	if c.group, err = fanout.Start(c.groupOptions()); err != nil {
		return err
	}
	if err := c.watchKeys(ctx); err != nil {
		return err
	}
	c.renewals = &renewalCounter{Store: c.bucket, key: "member." + c.id}
	c.member = member.New(member.Options{
		Settings: machine.Settings{
			ID:              c.id,
			Weight:          c.options.Weight,
			Partitions:      c.options.Partitions,
			Lease:           c.options.Lease,
			Margin:          c.options.Margin,
			Rate:            c.options.Rate,
			Overlap:         c.options.Overlap,
			KeepConnections: c.options.Away == KeepConnections,
		},
		Store:   c.renewals,
		Holder:  c.holder,
		Observe: c.observe,
	})
	go c.run()
	select {
	case <-c.joined:
	case <-c.ran:
		return c.runErr
	case <-ctx.Done():
		return fmt.Errorf("cluster: this process did not become a member in time: %w", ctx.Err())
	}
	return nil
}

// watchKeys begins to watch Keys, and waits until they are known: a member that doesn't know them would
// take partitions from others and not connect their keys.
func (c *Cluster) watchKeys(ctx context.Context) error {
	keysCtx, stopKeys := context.WithCancel(c.ctx)
	c.stopKeys = stopKeys
	go func() {
		defer close(c.watched)
		c.options.Keys.watch(keysCtx, c, c.holder)
	}()
	select {
	case <-c.holder.known:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("cluster: the keys were not known in time: %w", ctx.Err())
	}
}

// startMessages begins to publish what is received, and to send what comes from NATS. Each of them has a
// connection to NATS of its own, so that a flood delays no renewal of the lease.
func (c *Cluster) startMessages(ctx context.Context) error {
	if c.options.Publish.To != ToNowhere {
		conn, err := c.nats.connect(ctx, &c.options, "publish")
		if err != nil {
			return err
		}
		c.publisher, err = startPublisher(ctx, publisherOptions{
			Publish:  c.options.Publish,
			name:     c.options.Name,
			prefix:   c.options.Prefix,
			replicas: c.nats.replicas,
			conn:     conn,
			holds:    c.Token,
			log:      c.log,
		})
		if err != nil {
			return err
		}
	}
	if c.options.Receive {
		conn, err := c.nats.connect(ctx, &c.options, "receive")
		if err != nil {
			return err
		}
		c.receiver = startReceiver(receiverOptions{prefix: c.options.Prefix, conn: conn, holds: c.Token, send: c.sendHere, log: c.log})
	}
	return nil
}

// sendHere sends to a key that this member holds.
func (c *Cluster) sendHere(key string, op websock.Opcode, p []byte) (kept bool, err error) {
	s := c.group.Find(key)
	if s == nil {
		return false, fanout.ErrDown
	}
	err = s.Send(op, p)
	return err == nil && s.State() != fanout.Up, err
}

// bucketOf returns the name of the bucket of a cluster.
func bucketOf(name string) string { return name + "-cluster" }

// ErrOtherSettings is in the chain of the error of Start if the cluster has other Partitions, or another
// Lease, than the options say, or members of a newer version. The error says which.
var ErrOtherSettings = errors.New("cluster: the cluster has other settings")

func (c *Cluster) run() {
	defer close(c.ran)
	c.runErr = c.member.Run(c.ctx)
	var incompatible *machine.IncompatibleError
	if errors.As(c.runErr, &incompatible) {
		c.runErr = fmt.Errorf("%w: %w", ErrOtherSettings, incompatible)
		c.log(slog.LevelError, "this process is no member any more", slog.Any("error", c.runErr))
	}
}

// Shutdown leaves the cluster: the keys are handed over to the other members, as fast as these can
// connect them. Then everything ends that Start has begun. If there is no other member, the connections are
// drained and closed. If ctx ends first, they are aborted, the others take the keys over when the
// lease ends or at once if NATS can be told, and the error is that of ctx. No function of Options is
// called after Shutdown has returned. If one doesn't return, Shutdown waits for it until ctx ends, and for
// a moment longer: so a function of Options.Fanout may itself call Shutdown, with a ctx that ends. Another
// call waits as the first one does.
func (c *Cluster) Shutdown(ctx context.Context) error {
	err := c.leave(ctx)
	return cmp.Or(err, c.end(ctx))
}

// leave ends the membership. When ctx ends, the Group is told too, since it alone doesn't wait for
// functions that don't return.
func (c *Cluster) leave(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { _ = c.group.Shutdown(ctx) })()
	return c.member.Leave(ctx)
}

// end ends everything that start has begun.
func (c *Cluster) end(ctx context.Context) (err error) {
	if c.stopKeys != nil {
		c.stopKeys()
		waitFor(ctx, c.watched)
	}
	c.stop()
	if c.member != nil {
		<-c.ran
	}
	if c.group != nil {
		err = c.group.Shutdown(ctx)
	}
	if c.receiver != nil {
		c.receiver.stop()
	}
	if c.publisher != nil {
		c.publisher.close(ctx)
	}
	if c.nats != nil {
		c.nats.close()
	}
	return err
}

// grace is how long Shutdown waits for what should end at once, when its ctx has ended.
const grace = 250 * time.Millisecond

// waitFor waits until done is closed, or grace has passed since ctx ended.
func waitFor(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(grace):
	}
}

// ID returns the name of this member's record: Options.Member and a random suffix.
func (c *Cluster) ID() string { return c.id }

// Group returns the fanout.Group that has this member's connections: its slots are the keys that the
// member holds now. It serves to send, to broadcast and to look. To add, to remove and to stop slots is the
// Cluster's business: Wait waits for ever for a slot that was stopped before its first attempt.
func (c *Cluster) Group() *fanout.Group { return c.group }

// NATS returns the connection to NATS. It is closed by Shutdown, unless it is Options.Conn.
func (c *Cluster) NATS() *nats.Conn { return c.nats.conn }

// Token returns the fencing token with which this member holds a key, and whether it still may use the
// key's connection, by its clock at this moment. Asked right before a key is used, it says false in a
// process that was paused for too long. It costs about as much as reading the clock.
func (c *Cluster) Token(key string) (token uint64, held bool) {
	return c.member.Holds(c.holder.partitionOf(key))
}

// Send sends a message to the connection of a key, whichever member holds it: see the function Send.
func (c *Cluster) Send(ctx context.Context, key string, op websock.Opcode, p []byte) error {
	return Send(ctx, c.nats.conn, c.options.Prefix, key, op, p)
}

// Wait waits until each partition is held by a member, none is moving, and every key that this member
// holds has been tried. The error is that of ctx, or ErrOtherSettings.
func (c *Cluster) Wait(ctx context.Context) error {
	const pause = 20 * time.Millisecond
	for !c.settled() {
		select {
		case <-time.After(pause):
		case <-c.ran:
			return cmp.Or(c.runErr, fanout.ErrClosed)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *Cluster) settled() bool {
	for _, p := range c.member.Status().Partitions {
		if p.Holder == "" || p.Holder != p.Owner {
			return false
		}
	}
	_, backlog := c.holder.Report()
	return backlog == 0
}

func (c *Cluster) log(level slog.Level, msg string, attrs ...slog.Attr) {
	c.options.log(level, msg, attrs...)
}
