package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/transport/epoll"
)

// The limits of a client.
const (
	maxPending  = 200 // commands without a reply
	maxChannels = 100
)

var (
	errLost    = errors.New("centrifugo: the connection was lost before the reply arrived")
	errTooMany = errors.New("centrifugo: too many commands wait for replies, or too many channels")
)

// A client has subscriptions on one connection, which is dialed again when it is lost.
type client struct {
	group *fanout.Group // of one slot
	token func(context.Context) (string, error)

	mu            sync.Mutex
	last          uint32                    // id of the latest command
	pending       map[uint32]pendingCommand // those without a reply yet, by id
	subscriptions map[string]*subscription  // by channel
	pong          bool                      // the server wants its pings to be answered
}

type pendingCommand struct {
	answered   chan<- error
	subscribes *subscription // nil: it is another command
}

// newClient starts to connect to url, and keeps a connection open until close. token returns the token for
// each new connection; an empty one is none.
func newClient(url string, token func(context.Context) (string, error)) (*client, error) {
	c := &client{token: token, pending: map[uint32]pendingCommand{}, subscriptions: map[string]*subscription{}}
	var err error
	c.group, err = fanout.Start(fanout.Options{
		Targets:   []fanout.Target{{URL: url, Config: websock.Config{Transport: epoll.Transport()}}},
		Backoff:   fanout.Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		Permanent: func(err error) bool { return terminal(err) || fanout.Permanent(err) },
		OnConnect: c.connected,
		OnMessage: func(slot *fanout.Slot, _ websock.Opcode, msg []byte) { c.receive(slot.Conn(), msg) },
		OnDown:    c.down,
	})
	return c, err
}

// terminal reports whether the server has closed the connection with a code that says not to come back.
func terminal(err error) bool {
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local {
		return false
	}
	return closed.Code >= 3500 && closed.Code < 4000 || closed.Code >= 4500 && closed.Code < 5000
}

// connected logs in and makes all subscriptions again, with one message, before anything else is sent.
func (c *client) connected(ctx context.Context, _ *fanout.Slot, conn *websock.Conn) error {
	token, err := c.token(ctx)
	if err != nil {
		return err
	}
	commands := []command{{Connect: &connectRequest{token}}}
	subscribes := []*subscription{nil}
	c.mu.Lock()
	for _, s := range c.subscriptions {
		commands = append(commands, s.commandLocked())
		subscribes = append(subscribes, s)
	}
	c.mu.Unlock()
	answers := make([]<-chan error, len(commands))
	for i, s := range subscribes {
		if commands[i].ID, answers[i], err = c.begin(s); err != nil {
			return err
		}
		defer c.forget(commands[i].ID)
	}
	text, err := lines(commands)
	if err != nil {
		return err
	}
	if err := conn.SendText(text); err != nil {
		return err
	}
	for i, answered := range answers {
		err := c.receiveUntil(conn, answered)
		if s := subscribes[i]; s != nil && errors.As(err, new(*serverError)) {
			s.refused(err)
		} else if err != nil {
			return err
		}
	}
	return nil
}

// receiveUntil handles messages until a command is answered. The context of OnConnect bounds it, as that
// ends receives on conn.
func (c *client) receiveUntil(conn *websock.Conn, answered <-chan error) error {
	for msg := []byte(nil); ; {
		select {
		case err := <-answered:
			return err
		default:
		}
		var err error
		if _, msg, err = conn.RecvMessage(msg[:0]); err != nil {
			return err
		}
		c.receive(conn, msg)
	}
}

// do sends a command and waits for its reply. fanout.ErrDown means that there is no connection, and that
// nothing was sent.
func (c *client) do(ctx context.Context, cmd command, subscribes *subscription) error {
	id, answered, err := c.begin(subscribes)
	if err != nil {
		return err
	}
	defer c.forget(id)
	cmd.ID = id
	text, err := json.Marshal(cmd)
	if err != nil {
		return err
	}
	if err := c.group.Slot(0).SendText(text); err != nil {
		return err
	}
	select {
	case err := <-answered:
		return err
	case <-ctx.Done():
		return fmt.Errorf("centrifugo: no reply: %w", ctx.Err())
	}
}

// begin registers a command before it is sent, so that its reply can't be missed.
func (c *client) begin(subscribes *subscription) (id uint32, answered <-chan error, err error) {
	waits := make(chan error, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.pending) >= maxPending {
		return 0, nil, errTooMany
	}
	c.last++
	c.pending[c.last] = pendingCommand{waits, subscribes}
	return c.last, waits, nil
}

func (c *client) forget(id uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// receive handles the replies in a message.
func (c *client) receive(conn *websock.Conn, msg []byte) {
	for line := range bytes.Lines(msg) {
		var r reply
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if err := json.Unmarshal(line, &r); err != nil {
			log.Printf("centrifugo: %.100q: %v", line, err)
			continue
		}
		switch {
		case r.Push != nil:
			c.pushed(r.Push)
		case r.ID != 0:
			c.answer(r)
		case c.answersPings():
			conn.TrySend(websock.OpText, []byte("{}"))
		}
	}
}

func (c *client) answersPings() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pong
}

// answer ends the command to which r is the reply, unless its caller has stopped waiting.
func (c *client) answer(r reply) {
	c.mu.Lock()
	cmd, waits := c.pending[r.ID]
	delete(c.pending, r.ID)
	if r.Connect != nil {
		c.pong = r.Connect.Pong
	}
	var publications []publication
	if s := cmd.subscribes; s != nil && r.Subscribe != nil && !s.ended { // before the pushes that follow
		c.subscriptions[s.channel] = s
		publications = s.beginLocked(*r.Subscribe)
	}
	c.mu.Unlock()
	for _, p := range publications {
		cmd.subscribes.handle(p)
	}
	switch {
	case !waits:
	case r.Error != nil:
		cmd.answered <- r.Error
	default:
		cmd.answered <- nil
	}
}

// down ends all commands when the connection is lost.
func (c *client) down(_ *fanout.Slot, err error, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, cmd := range c.pending {
		cmd.answered <- fmt.Errorf("%w: %w", errLost, err)
		delete(c.pending, id)
	}
}

// publish publishes data, which is JSON, in a channel. It does not wait for a connection: fanout.ErrDown means
// that nothing was sent. After errLost it may have been published.
func (c *client) publish(ctx context.Context, channel string, data json.RawMessage) error {
	return c.do(ctx, command{Publish: &publishRequest{channel, data}}, nil)
}

// close closes the connection. It must not be called by a handler.
func (c *client) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.group.Shutdown(ctx)
}
