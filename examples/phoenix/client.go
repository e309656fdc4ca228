package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// The limits of a client.
const (
	maxPending  = 100 // requests without a reply
	maxChannels = 100
)

var (
	errLost      = errors.New("phoenix: the connection was lost before the reply arrived")
	errNotJoined = errors.New("phoenix: the channel is not joined at present")
	errTooMany   = errors.New("phoenix: too many requests wait for replies, or too many channels")
)

var heartbeatEvery = 30 * time.Second // tests make it shorter

var backoff = fanout.Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second}

// A client has channels on one connection, which is dialed again when it is lost.
type client struct {
	group  *fanout.Group // of one slot
	ctx    context.Context
	cancel context.CancelFunc
	rejoin sync.WaitGroup // goroutines that join a channel again

	mu       sync.Mutex
	last     uint64                    // ref of the latest request
	pending  map[string]pendingRequest // those without a reply yet, by ref
	channels map[string]*channel       // those that are wanted, by topic
}

type pendingRequest struct {
	answered chan<- answer
	joins    *channel // nil: it is no join
}

// An answer is the outcome of a request.
type answer struct {
	response json.RawMessage
	err      error
}

// newClient starts to connect to the socket at rawURL, and keeps a connection open until close.
func newClient(rawURL string) (*client, error) {
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	query.Set("vsn", "2.0.0") // otherwise the server speaks 1.0.0, with objects in place of arrays
	u.RawQuery = query.Encode()
	c := &client{pending: map[string]pendingRequest{}, channels: map[string]*channel{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.group, err = fanout.Start(fanout.Options{
		Targets: []fanout.Target{{URL: u.String(), Config: websock.Config{Transport: epoll.Transport()}}},
		Backoff: backoff,

		// Phoenix closes a connection on which no heartbeat comes for a minute. Its reply, as all that is
		// received, shows that the server is alive, so the ref need not be a new one each time.
		Ping:        heartbeatEvery,
		PingMessage: []byte(`[null,"heartbeat","phoenix","heartbeat",{}]`),

		OnConnect: c.joinAgain,
		OnMessage: func(_ *fanout.Slot, op websock.Opcode, msg []byte) { c.receive(op, msg) },
		OnDown:    c.down,
	})
	return c, err
}

// request sends a message with a new ref and waits for the reply. fanout.ErrDown means that there is no
// connection, and that nothing was sent.
func (c *client) request(ctx context.Context, m message, joins *channel) (json.RawMessage, error) {
	ref, answered, err := c.begin(joins)
	if err != nil {
		return nil, err
	}
	defer c.forget(ref)
	text, err := requestText(m, ref, joins)
	if err != nil {
		return nil, err
	}
	if err := c.group.Slot(0).SendText(text); err != nil {
		return nil, err
	}
	select {
	case a := <-answered:
		return a.response, a.err
	case <-ctx.Done():
		return nil, fmt.Errorf("phoenix: no reply: %w", ctx.Err())
	}
}

// requestText encodes a message. The ref of a join is also its join_ref.
func requestText(m message, ref string, joins *channel) ([]byte, error) {
	m.Ref = ref
	if joins != nil {
		m.JoinRef = ref
	}
	return json.Marshal(m)
}

// begin registers a request before it is sent, so that its reply can't be missed.
func (c *client) begin(joins *channel) (ref string, answered <-chan answer, err error) {
	waits := make(chan answer, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= maxPending {
		return "", nil, errTooMany
	}
	c.last++
	ref = strconv.FormatUint(c.last, 10)
	c.pending[ref] = pendingRequest{waits, joins}
	return ref, waits, nil
}

func (c *client) forget(ref string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, ref)
}

// receive handles a message of the server.
func (c *client) receive(op websock.Opcode, text []byte) {
	var m message
	if op != websock.OpText {
		log.Print("phoenix: a binary payload, which this client does not know")
		return
	}
	if err := json.Unmarshal(text, &m); err != nil {
		log.Printf("phoenix: %.100q: %v", text, err)
		return
	}
	if m.Event == eventReply {
		m = c.answer(m)
	}
	if ch := c.recipient(m); ch != nil {
		ch.handle(m.Event, m.raw)
	}
}

// answer ends the request to which m is the reply, unless its caller has stopped waiting. If a channel was
// joined again, or not, it returns what the handler is to get of that.
func (c *client) answer(m message) (event message) {
	var r reply
	err := json.Unmarshal(m.raw, &r)
	if err == nil && r.Status != "ok" {
		err = refusal(r.Response)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	request, waits := c.pending[m.Ref]
	if !waits {
		return message{} // such as the reply to a heartbeat
	}
	delete(c.pending, m.Ref)
	request.answered <- answer{r.Response, err}
	ch := request.joins
	if ch == nil || ch.left {
		return message{}
	}
	again := c.channels[ch.topic] == ch
	event = message{Topic: ch.topic, Event: eventClose, raw: r.Response}
	if err == nil { // before the events that follow
		ch.joinRef = m.Ref
		c.channels[ch.topic] = ch
		event.Event = eventJoin
	}
	if !again {
		return message{}
	}
	return event
}

// recipient returns the channel whose handler gets m; nil: none.
func (c *client) recipient(m message) *channel {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := c.channels[m.Topic]
	if ch == nil || m.JoinRef != "" && m.JoinRef != ch.joinRef {
		return nil // of an earlier join
	}
	switch m.Event {
	case eventClose:
		ch.joinRef = ""
		delete(c.channels, ch.topic)
	case eventError:
		if ch.joinRef != "" {
			ch.joinRef = ""
			c.rejoin.Go(ch.rejoin)
		}
	}
	return ch
}

// down ends all requests when the connection is lost.
func (c *client) down(_ *fanout.Slot, err error, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ref, request := range c.pending {
		request.answered <- answer{err: fmt.Errorf("%w: %w", errLost, err)}
		delete(c.pending, ref)
	}
	for _, ch := range c.channels {
		ch.joinRef = ""
	}
}

// close closes the connection, with which all channels are left. It must not be called by a handler.
func (c *client) close() {
	c.cancel()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.group.Shutdown(ctx)
	c.rejoin.Wait()
}
