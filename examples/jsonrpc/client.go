package main

import (
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

// errLost is what a call returns whose connection was lost before the answer came. Whether
// the server has done what was asked for is not known: only the caller can say whether it is
// safe to ask again.
var errLost = errors.New("jsonrpc: the connection was lost before the answer came")

// A serverError is the error that a server answers with, as it came: an object in version 2.0,
// often a string in 1.0.
type serverError json.RawMessage

func (e serverError) Error() string { return "jsonrpc: the server answers " + string(e) }

// A client makes calls over one connection, which is dialled again when it is lost. Its
// methods may be called from any goroutine.
type client struct {
	group  *fanout.Group // of one slot
	notify func(method string, params json.RawMessage)

	mu      sync.Mutex
	last    uint64                 // id of a call
	pending map[uint64]chan answer // by id: the calls that wait
}

// An answer is what ends a call.
type answer struct {
	result json.RawMessage
	err    error
}

// newClient begins to connect to url, and keeps a connection open until close. notify, unless
// it is nil, is called with what the server sends unasked; it must not wait.
func newClient(url string, notify func(method string, params json.RawMessage)) (*client, error) {
	c := &client{notify: notify, pending: map[uint64]chan answer{}}
	group, err := fanout.Start(fanout.Options{
		Targets:   []fanout.Target{{URL: url, Config: websock.Config{Transport: epoll.Transport()}}},
		Backoff:   fanout.Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		OnMessage: c.receive,
		OnDown:    c.down,
	})
	c.group = group
	return c, err
}

// call calls a method and decodes its result into result, a pointer or nil. While there is no
// connection it waits for one. It ends when ctx does, and then returns the error of ctx.
func (c *client) call(ctx context.Context, method string, params, result any) error {
	id, answered := c.begin()
	defer c.end(id)
	request, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      uint64 `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", id, method, params})
	if err != nil {
		return err
	}
	if err := c.send(ctx, request); err != nil {
		return err
	}
	select {
	case a := <-answered:
		if a.err != nil || result == nil {
			return a.err
		}
		return json.Unmarshal(a.result, result)
	case <-ctx.Done():
		return fmt.Errorf("jsonrpc: no answer: %w", ctx.Err())
	}
}

// begin makes a call known before it is sent, so that no answer and no loss comes too early.
func (c *client) begin() (id uint64, answered <-chan answer) {
	waits := make(chan answer, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.pending[c.last] = waits
	return c.last, waits
}

func (c *client) end(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// send sends a request, once there is a connection. A slot that is down sends nothing, and
// so it is safe to try again; a request that waited in Options.SendBuffer instead would still
// be sent after its caller has given up.
func (c *client) send(ctx context.Context, request []byte) error {
	slot := c.group.Slot(0)
	for {
		err := slot.SendText(request)
		if !errors.Is(err, fanout.ErrDown) {
			return err
		}
		if err := c.group.WaitUp(ctx, 1); err != nil {
			return fmt.Errorf("jsonrpc: no connection: %w", errors.Join(err, slot.Err()))
		}
	}
}

// receive takes an answer, or what the server sends unasked. Answers come in any order.
func (c *client) receive(_ *fanout.Slot, _ websock.Opcode, msg []byte) {
	var m struct {
		ID     *uint64         `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	switch err := json.Unmarshal(msg, &m); {
	case err != nil:
		log.Printf("jsonrpc: not understood: %.100q: %v", msg, err)
	case m.Method != "":
		if c.notify != nil {
			c.notify(m.Method, m.Params)
		}
	case m.ID == nil:
		log.Printf("jsonrpc: an answer to nothing: %.100q", msg)
	case len(m.Error) > 0 && string(m.Error) != "null":
		c.answer(*m.ID, answer{err: serverError(m.Error)})
	default:
		c.answer(*m.ID, answer{result: m.Result})
	}
}

// answer ends a call, unless it has given up.
func (c *client) answer(id uint64, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waits := c.pending[id]; waits != nil {
		waits <- a
		delete(c.pending, id)
	}
}

// down fails all calls that wait for an answer when the connection is lost, or closed by us.
// A failed attempt to connect is no such loss: calls that wait for a connection go on.
func (c *client) down(_ *fanout.Slot, err error, _ time.Duration) {
	if fanout.ReasonOf(err) == fanout.AttemptFailed {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, waits := range c.pending {
		waits <- answer{err: fmt.Errorf("%w: %w", errLost, err)}
		delete(c.pending, id)
	}
}

// close closes the connection. Calls that wait return errLost.
func (c *client) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.group.Shutdown(ctx)
}
