package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"strconv"
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

// The limits of a client.
const (
	maxInFlight = 64       // requests without a response yet; more of them wait
	maxBatch    = 100      // calls in one request
	maxResponse = 16 << 20 // bytes of a message of the server
)

// A client makes calls over one connection, which is dialed again when it is lost; its
// subscriptions are then made again, too. Its methods are safe for concurrent use. None may be called
// by notify, which is called by the goroutine that receives the responses.
type client struct {
	group    *fanout.Group // of one slot
	notify   func(method string, params json.RawMessage)
	inFlight chan struct{} // has an element for each request under way

	mu      sync.Mutex
	last    uint64                   // id of the latest call
	pending map[uint64]pendingCall   // calls without a response yet, by id
	wanted  map[*subscription]bool   // those to make again on the next connection
	byID    map[string]*subscription // of the present connection, by the id that the server has given
}

// A pendingCall waits for its response.
type pendingCall struct {
	answered   chan<- answer
	subscribes *subscription // nil: it is an ordinary call
}

// An answer is the outcome of a call.
type answer struct {
	result json.RawMessage
	err    error
}

// newClient starts to connect to url, and keeps a connection open until close. If notify is not
// nil, it is called with notifications that belong to no subscription; it must not block.
func newClient(url string, notify func(method string, params json.RawMessage)) (*client, error) {
	c := &client{
		notify:   notify,
		inFlight: make(chan struct{}, maxInFlight),
		pending:  map[uint64]pendingCall{},
		wanted:   map[*subscription]bool{},
		byID:     map[string]*subscription{},
	}
	group, err := fanout.Start(fanout.Options{
		Targets: []fanout.Target{{URL: url, Config: websock.Config{
			Transport: epoll.Transport(),
			Limits:    websock.Limits{MessageSize: maxResponse},
		}}},
		Backoff:   fanout.Backoff{Base: 100 * time.Millisecond, Max: 10 * time.Second},
		OnConnect: c.subscribeAgain,
		OnMessage: func(slot *fanout.Slot, _ websock.Opcode, msg []byte) { c.receive(slot.Conn(), msg) },
		OnDown:    c.down,
	})
	c.group = group
	return c, err
}

// call calls a method and decodes the result into result, a pointer or nil. It waits for a
// connection if there is none, and while too many requests are under way. When ctx ends, it returns
// the error of ctx; the server may execute the call nevertheless.
func (c *client) call(ctx context.Context, method string, params, result any) error {
	return c.do(ctx, method, params, result, nil)
}

func (c *client) do(ctx context.Context, method string, params, result any, subscribes *subscription) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave()
	for {
		id, answered := c.begin(subscribes)
		err := c.send(request{Version: "2.0", ID: id, Method: method, Params: params})
		if err == nil {
			err = wait(ctx, answered, result)
		}
		c.forget(id)
		if !errors.Is(err, fanout.ErrDown) {
			return err
		}
		if err := c.waitUp(ctx); err != nil {
			return err
		}
	}
}

// tell sends a notification, which has no response. Nil means that it was sent, not that it has arrived.
func (c *client) tell(ctx context.Context, method string, params any) error {
	for {
		err := c.send(request{Version: "2.0", Method: method, Params: params})
		if !errors.Is(err, fanout.ErrDown) {
			return err
		}
		if err := c.waitUp(ctx); err != nil {
			return err
		}
	}
}

// enter waits until another request may be under way.
func (c *client) enter(ctx context.Context) error {
	select {
	case c.inFlight <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("jsonrpc: %d requests are under way: %w", maxInFlight, ctx.Err())
	}
}

func (c *client) leave() { <-c.inFlight }

// begin registers a call. It comes before sending, so that neither the response nor the loss of
// the connection can be missed.
func (c *client) begin(subscribes *subscription) (id uint64, answered <-chan answer) {
	waits := make(chan answer, 1)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	c.pending[c.last] = pendingCall{waits, subscribes}
	return c.last, waits
}

// forget has the response to a call ignored, if it still comes.
func (c *client) forget(id uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// send sends a request, or several as a batch. It returns fanout.ErrDown, and has sent nothing, if there
// is no connection: the request can then be made again. With Options.SendBuffer, in contrast, it
// would be sent even after its caller had stopped waiting.
func (c *client) send(r any) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	return c.group.Slot(0).SendText(text)
}

// waitUp waits for a connection. It returns an error if there will be none, or when ctx ends.
func (c *client) waitUp(ctx context.Context) error {
	if err := c.group.WaitUp(ctx, 1); err != nil {
		return fmt.Errorf("jsonrpc: no connection: %w", errors.Join(err, c.group.Slot(0).Err()))
	}
	return nil
}

// wait waits for the response of one call.
func wait(ctx context.Context, answered <-chan answer, result any) error {
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

// receive handles what the server sends on conn. Responses arrive in any order.
func (c *client) receive(conn *websock.Conn, text []byte) {
	messages, err := parse(text)
	if err != nil {
		log.Printf("jsonrpc: not JSON-RPC: %.100q: %v", text, err)
		return
	}
	for _, m := range messages {
		hasID := len(m.ID) > 0 && string(m.ID) != "null"
		switch {
		case m.Method != "" && hasID: // a request, which the server expects to be answered
			refused := fmt.Sprintf(`{"jsonrpc":"2.0","id":%s,"error":{"code":%d,"message":"not a server"}}`, m.ID, codeMethodNotFound)
			conn.TrySend(websock.OpText, []byte(refused))
		case m.Method != "":
			if !c.update(m.Params) && c.notify != nil {
				c.notify(m.Method, m.Params)
			}
		case hasID:
			c.answer(m)
		default: // such as the error for a request that the server could not parse
			log.Printf("jsonrpc: a response without an id: %.200q", text)
		}
	}
}

// answer ends the call to which m is the response, unless its caller has stopped waiting.
func (c *client) answer(m message) {
	id, err := strconv.ParseUint(string(m.ID), 10, 64)
	if err != nil {
		log.Printf("jsonrpc: a response with an id that is not ours: %.100s", m.ID)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	call, waits := c.pending[id]
	if !waits {
		return
	}
	delete(c.pending, id)
	if m.Error != nil {
		call.answered <- answer{err: m.Error}
		return
	}
	if s := call.subscribes; s != nil && !s.ended { // before the updates that follow
		c.wanted[s] = true
		c.byID[string(m.Result)] = s
	}
	call.answered <- answer{result: m.Result}
}

// down ends all calls that wait for a response when the connection is lost or closed. After a
// failed attempt to connect, calls keep waiting for a connection.
func (c *client) down(_ *fanout.Slot, err error, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.byID)
	if fanout.ReasonOf(err) == fanout.AttemptFailed {
		return
	}
	for id, call := range c.pending {
		call.answered <- answer{err: fmt.Errorf("%w: %w", errLost, err)}
		delete(c.pending, id)
	}
}

// close closes the connection. Calls without a response return errLost, and subscriptions end.
func (c *client) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c.group.Shutdown(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := range c.wanted {
		c.endLocked(s)
	}
}
