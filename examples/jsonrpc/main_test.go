package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/rpc"
	"net/rpc/jsonrpc"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// newServer serves each connection with serve, and returns its URL.
func newServer(t *testing.T, serve func(*websock.Conn)) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		serve(conn)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func newTestClient(t *testing.T, url string, notify func(string, json.RawMessage)) *client {
	t.Helper()
	c, err := newClient(url, notify)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

type request struct {
	ID     uint64 `json:"id"`
	Method string `json:"method"`
	Params []int  `json:"params"`
}

// serveSums answers "sum" at once, "late" after the next call was answered, and "bad" with an
// error. On "hang up" it aborts the connection.
func serveSums(conn *websock.Conn) {
	reply := func(id uint64, field string, value any) {
		text, _ := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, field: value})
		conn.SendText(text)
	}
	conn.SendText([]byte(`{"jsonrpc":"2.0","method":"hello","params":["world"]}`))
	var late []uint64
	for {
		_, msg, err := conn.RecvMessage(nil)
		if err != nil {
			return
		}
		var r request
		if err := json.Unmarshal(msg, &r); err != nil {
			return
		}
		switch r.Method {
		case "hang up":
			conn.Abort(nil)
			return
		case "late":
			late = append(late, r.ID)
			continue
		case "bad":
			reply(r.ID, "error", map[string]any{"code": -32601, "message": "no such method"})
			continue
		}
		sum := 0
		for _, n := range r.Params {
			sum += n
		}
		reply(r.ID, "result", sum)
		for _, id := range late {
			reply(id, "result", -1)
		}
		late = nil
	}
}

func TestCallsGetTheirOwnResponses(t *testing.T) {
	greeted := make(chan string, 1)
	c := newTestClient(t, newServer(t, serveSums), func(method string, params json.RawMessage) {
		greeted <- method + string(params)
	})
	ctx := within(t, time.Minute)
	var calls sync.WaitGroup
	for i := range 200 {
		calls.Go(func() {
			var sum int
			if err := c.call(ctx, "sum", []int{i, 1}, &sum); err != nil || sum != i+1 {
				t.Errorf("%d: %d %v", i, sum, err)
			}
		})
	}
	calls.Wait()
	if greeting := <-greeted; greeting != `hello["world"]` {
		t.Errorf("%s", greeting)
	}
	var refused serverError
	if err := c.call(ctx, "bad", nil, nil); !errors.As(err, &refused) || !strings.Contains(err.Error(), "no such method") {
		t.Errorf("%v", err)
	}
}

func TestCallTimeoutDoesNotAffectOthers(t *testing.T) {
	c := newTestClient(t, newServer(t, serveSums), nil)
	var sum int
	if err := c.call(within(t, time.Minute), "sum", []int{1}, &sum); err != nil {
		t.Fatal(err)
	}
	if err := c.call(within(t, 50*time.Millisecond), "late", nil, &sum); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	// The response to the late call follows the one to this call.
	for n := range 3 {
		if err := c.call(within(t, time.Minute), "sum", []int{n, n}, &sum); err != nil || sum != 2*n {
			t.Errorf("%d %v", sum, err)
		}
	}
}

func TestCallsFailWithTheirConnection(t *testing.T) {
	c := newTestClient(t, newServer(t, serveSums), nil)
	ctx := within(t, time.Minute)
	for range 3 {
		lost := make(chan error, 1)
		go func() { lost <- c.call(ctx, "late", nil, nil) }()
		for waiting := 0; waiting == 0; time.Sleep(time.Millisecond) {
			c.mu.Lock()
			waiting = len(c.pending)
			c.mu.Unlock()
		}
		c.group.WaitUp(ctx, 1)
		if err := c.call(ctx, "hang up", nil, nil); !errors.Is(err, errLost) {
			t.Errorf("%v", err)
		}
		if err := <-lost; !errors.Is(err, errLost) {
			t.Errorf("%v", err)
		}
		var sum int
		if err := c.call(ctx, "sum", []int{20, 3}, &sum); err != nil || sum != 23 {
			t.Errorf("%d %v", sum, err)
		}
	}
}

func TestCallWaitsForAConnection(t *testing.T) {
	c := newTestClient(t, "ws://127.0.0.1:1/", nil)
	if err := c.call(within(t, 100*time.Millisecond), "sum", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// arithmetic is a service for net/rpc.
type arithmetic struct{}

func (arithmetic) Multiply(factors *[2]int, product *int) error {
	*product = factors[0] * factors[1]
	return nil
}

func (arithmetic) Fail(*[2]int, *int) error { return errors.New("out of order") }

// TestStandardLibraryServer calls net/rpc/jsonrpc, which implements version 1.0.
func TestStandardLibraryServer(t *testing.T) {
	server := rpc.NewServer()
	if err := server.RegisterName("arithmetic", arithmetic{}); err != nil {
		t.Fatal(err)
	}
	url := newServer(t, func(conn *websock.Conn) {
		server.ServeCodec(jsonrpc.NewServerCodec(conn.NetConn(websock.OpText)))
	})
	c := newTestClient(t, url, nil)
	ctx := within(t, time.Minute)
	for i := range 100 {
		var product int
		if err := c.call(ctx, "arithmetic.Multiply", [][2]int{{i, 7}}, &product); err != nil || product != 7*i {
			t.Errorf("%d %v", product, err)
		}
	}
	if err := c.call(ctx, "arithmetic.Fail", [][2]int{{}}, nil); err == nil || !strings.Contains(err.Error(), "out of order") {
		t.Errorf("%v", err)
	}
}
