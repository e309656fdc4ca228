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
	"github.com/seed004e8d11/websock/fanout"
)

func TestCallsGetTheirOwnResponses(t *testing.T) {
	greeted := make(chan string, 1)
	c := newTestClient(t, newServer(t, serveNode), func(method string, params json.RawMessage) {
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
}

func TestErrorsHaveTheirCode(t *testing.T) {
	c := newTestClient(t, newServer(t, serveNode), nil)
	var refused *serverError
	err := c.call(within(t, time.Minute), "bad", nil, nil)
	if !errors.As(err, &refused) || refused.Code != -32602 || refused.Message != "not numbers" || string(refused.Data) != "[1]" {
		t.Errorf("%v", err)
	}
}

func TestCallTimeoutDoesNotAffectOthers(t *testing.T) {
	c := newTestClient(t, newServer(t, serveNode), nil)
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
	leavesNoGoroutines(t)
	waiting := make(chan struct{}, 3)
	c := newTestClient(t, newServer(t, serveNode), func(method string, _ json.RawMessage) {
		if method == "waiting" {
			waiting <- struct{}{}
		}
	})
	ctx := within(t, time.Minute)
	for range 3 {
		lost := make(chan error, 1)
		go func() { lost <- c.call(ctx, "late", nil, nil) }()
		select {
		case <-waiting: // the server has the call
		case err := <-lost:
			t.Fatal(err)
		}
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

func TestCallThatNoServerWillAnswerFailsAtOnce(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c := newTestClient(t, "ws"+strings.TrimPrefix(server.URL, "http"), nil)
	err := c.call(within(t, time.Minute), "sum", nil, nil)
	var refused *websock.HandshakeError
	if !errors.Is(err, fanout.ErrDown) || !errors.As(err, &refused) || refused.Status != http.StatusNotFound {
		t.Errorf("%v", err)
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	c := newTestClient(t, newServer(t, serveNode), nil)
	ctx, cancel := context.WithCancel(within(t, time.Minute))
	var calls sync.WaitGroup
	for range maxInFlight {
		calls.Go(func() { c.call(ctx, "late", nil, nil) })
	}
	waitUntil(t, "all calls are under way", func() bool { return len(c.inFlight) == maxInFlight })
	if err := c.call(within(t, 20*time.Millisecond), "sum", nil, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one more: %v", err)
	}
	cancel()
	calls.Wait()
	if err := c.call(within(t, time.Minute), "sum", []int{1}, nil); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestBatchHasAnAnswerForEachCall(t *testing.T) {
	c := newTestClient(t, newServer(t, serveNode), nil)
	ctx := within(t, time.Minute)
	var three, seven int
	calls := []*batchCall{
		{method: "sum", params: []int{1, 2}, result: &three},
		{method: "bad"},
		{method: "sum", params: []int{3, 4}, result: &seven},
	}
	if err := c.batch(ctx, calls...); err != nil {
		t.Fatal(err)
	}
	if three != 3 || seven != 7 || calls[0].err != nil || calls[2].err != nil || !errors.As(calls[1].err, new(*serverError)) {
		t.Errorf("%d %d %v %v %v", three, seven, calls[0].err, calls[1].err, calls[2].err)
	}
	if err := c.batch(ctx); err == nil {
		t.Error("an empty batch was sent")
	}
	if err := c.batch(ctx, make([]*batchCall, maxBatch+1)...); err == nil {
		t.Error("a batch that is too large was sent")
	}
	lost := []*batchCall{{method: "sum"}, {method: "hang up"}}
	if err := c.batch(ctx, lost...); err != nil || !errors.Is(lost[0].err, errLost) || !errors.Is(lost[1].err, errLost) {
		t.Errorf("%v, %v, %v", err, lost[0].err, lost[1].err)
	}
}

func TestNotificationsHaveNoResponse(t *testing.T) {
	c := newTestClient(t, newServer(t, serveNode), nil)
	ctx := within(t, time.Minute)
	s, err := c.subscribe(ctx, "subscribe", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.tell(ctx, "say", "hello"); err != nil {
		t.Fatal(err)
	}
	if u := <-s.updates; string(u.Result) != `"hello"` {
		t.Errorf("%s", u.Result)
	}
}

func TestRequestsOfTheServerAreRefused(t *testing.T) {
	got := make(chan string, 1)
	newTestClient(t, newServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte(`{"jsonrpc":"2.0","id":"a","method":"sum"}`))
		_, text, _ := conn.RecvMessage(nil)
		got <- string(text)
	}), nil)
	if text := <-got; text != `{"jsonrpc":"2.0","id":"a","error":{"code":-32601,"message":"not a server"}}` {
		t.Error(text)
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
