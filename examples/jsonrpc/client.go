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

// errLost is returned by a call if the connection is lost before the response arrives. The
// server may or may not have executed the call, so only the caller can decide whether to make
// it again.
var errLost = errors.New("jsonrpc: the connection was lost before the response arrived")

// A serverError is the error in a response, as received: an object in version 2.0, often a
// string in 1.0.
type serverError json.RawMessage

func (e serverError) Error() string { return "jsonrpc: the server answers " + string(e) }

// A client makes calls over one connection, which is dialed again when it is lost. Its
// methods are safe for concurrent use.
type client struct {
	group  *fanout.Group // of one slot
	notify func(method string, params json.RawMessage)

	mu      sync.Mutex
	last    uint64                 // id of the latest call
	pending map[uint64]chan answer // calls without a response yet, by id
}

// An answer is the outcome of a call.
type answer struct {
	result json.RawMessage
	err    error
}

// newClient starts to connect to url, and keeps a connection open until close. If notify is not
// nil, it is called with the server's notifications; it must not block.
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

// call calls a method and decodes the result into result, a pointer or nil. It waits for a
// connection if there is none. When ctx ends, it returns the error of ctx.
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
		return fmt.Errorf("jsonrpc: no response: %w", ctx.Err())
	}
}

// begin registers a call. It comes before sending, so that neither the response nor the loss of
// the connection can be missed.
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

// send waits for a connection and sends a request. A slot that is down sends nothing, so it is
// safe to try again. With Options.SendBuffer, in contrast, a request would be sent even after its
// caller had stopped waiting.
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

// receive handles a response or a notification. Responses arrive in any order.
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
		log.Printf("jsonrpc: not JSON-RPC: %.100q: %v", msg, err)
	case m.Method != "":
		if c.notify != nil {
			c.notify(m.Method, m.Params)
		}
	case m.ID == nil:
		log.Printf("jsonrpc: a response without an id: %.100q", msg)
	case len(m.Error) > 0 && string(m.Error) != "null":
		c.answer(*m.ID, answer{err: serverError(m.Error)})
	default:
		c.answer(*m.ID, answer{result: m.Result})
	}
}

// answer ends a call, unless its caller has stopped waiting.
func (c *client) answer(id uint64, a answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waits := c.pending[id]; waits != nil {
		waits <- a
		delete(c.pending, id)
	}
}

// down ends all calls that wait for a response when the connection is lost or closed. After a
// failed attempt to connect, calls keep waiting for a connection.
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

// close closes the connection. Calls without a response return errLost.
func (c *client) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.group.Shutdown(ctx)
}
