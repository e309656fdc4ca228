package cluster

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// groupOptions returns the options of the Group: those that the application has given, with functions
// around its own that tell the Cluster what happens.
func (c *Cluster) groupOptions() fanout.Options {
	o := c.options.Fanout
	o.Size = -1
	o.Pace.Rate = c.options.Rate
	o.Prepare = c.prepare
	o.OnConnect = c.onConnect
	o.OnDown = c.onDown
	if c.publisher != nil {
		o.OnMessage = c.onMessage
	}
	return o
}

// prepare lets no attempt begin for a key that another member may hold, and puts the fencing token into
// the handshake.
func (c *Cluster) prepare(ctx context.Context, s *fanout.Slot, t *fanout.Target) error {
	if f := c.options.Fanout.Prepare; f != nil {
		if err := f(ctx, s, t); err != nil {
			return err
		}
	}
	token, held := c.Token(s.Key())
	if !held {
		return ErrNotHeld
	}
	if name := c.options.FenceHeader; name != "" {
		header := maps.Clone(t.Config.Header) // other attempts share it
		if header == nil {
			header = http.Header{}
		}
		header.Set(name, strconv.FormatUint(token, 10))
		t.Config.Header = header
	}
	return nil
}

func (c *Cluster) onConnect(ctx context.Context, s *fanout.Slot, conn *websock.Conn) error {
	if f := c.options.Fanout.OnConnect; f != nil {
		if err := f(ctx, s, conn); err != nil {
			return err
		}
	}
	c.counts.opened.Add(1)
	c.holder.tried(s)
	return nil
}

func (c *Cluster) onDown(s *fanout.Slot, err error, next time.Duration) {
	c.holder.tried(s)
	if f := c.options.Fanout.OnDown; f != nil {
		f(s, err, next)
	}
}

// onMessage publishes a message that was received, and then gives it to the application, which may change
// it.
func (c *Cluster) onMessage(s *fanout.Slot, op websock.Opcode, msg []byte) {
	c.publisher.receive(s, s.Key(), op, msg)
	if f := c.options.Fanout.OnMessage; f != nil {
		f(s, op, msg)
	}
}
