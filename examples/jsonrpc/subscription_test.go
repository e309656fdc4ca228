package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestSubscriptionOutlastsItsConnection(t *testing.T) {
	leavesNoGoroutines(t)
	c := newTestClient(t, newServer(t, serveNode), nil)
	ctx := within(t, time.Minute)
	s, err := c.subscribe(ctx, "subscribe", nil, 10)
	if err != nil {
		t.Fatal(err)
	}
	say := func(n int, gap bool) {
		t.Helper()
		if err := c.call(ctx, "say", n, nil); err != nil {
			t.Fatal(err)
		}
		if u := <-s.updates; string(u.Result) != fmt.Sprint(n) || u.Gap != gap {
			t.Errorf("%s, gap %v", u.Result, u.Gap)
		}
	}
	say(1, false)
	for n := range 3 {
		if err := c.call(ctx, "hang up", nil, nil); !errors.Is(err, errLost) {
			t.Fatal(err)
		}
		say(10*n, true)
		say(10*n+1, false)
	}
	if err := c.unsubscribe(ctx, "unsubscribe", s); err != nil {
		t.Fatal(err)
	}
	c.call(ctx, "say", 0, nil)
	if u, open := <-s.updates; open {
		t.Errorf("%s after the end", u.Result)
	}
}

func TestReaderThatIsTooSlowIsToldOfTheGap(t *testing.T) {
	c := newTestClient(t, newServer(t, serveNode), nil)
	ctx := within(t, time.Minute)
	s, err := c.subscribe(ctx, "subscribe", nil, 2)
	if err != nil {
		t.Fatal(err)
	}
	for n := range 5 {
		c.call(ctx, "say", n, nil)
	}
	for n := range 2 {
		if u := <-s.updates; string(u.Result) != fmt.Sprint(n) || u.Gap {
			t.Errorf("%s, gap %v", u.Result, u.Gap)
		}
	}
	c.call(ctx, "say", 5, nil)
	if u := <-s.updates; string(u.Result) != "5" || !u.Gap {
		t.Errorf("%s, gap %v", u.Result, u.Gap)
	}
}

func TestSubscriptionThatIsRefusedLaterEnds(t *testing.T) {
	var connections atomic.Int32
	c := newTestClient(t, newServer(t, func(conn *websock.Conn) {
		first := connections.Add(1) == 1
		for {
			_, text, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			requests, err := parse(text)
			switch {
			case err != nil:
				return
			case requests[0].Method == "hang up":
				conn.Abort(nil)
				return
			case requests[0].Method == "subscribe" && first:
				conn.SendText(fmt.Appendf(nil, `{"id":%s,"result":7}`, requests[0].ID))
			case requests[0].Method == "subscribe":
				conn.SendText(fmt.Appendf(nil, `{"id":%s,"error":{"code":1,"message":"no more"}}`, requests[0].ID))
			default:
				conn.SendText(fmt.Appendf(nil, `{"id":%s,"result":0}`, requests[0].ID))
			}
		}
	}), nil)
	ctx := within(t, time.Minute)
	s, err := c.subscribe(ctx, "subscribe", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.call(ctx, "hang up", nil, nil); !errors.Is(err, errLost) {
		t.Fatal(err)
	}
	if u, open := <-s.updates; open {
		t.Errorf("%s", u.Result)
	}
	if err := c.call(ctx, "sum", nil, nil); err != nil {
		t.Errorf("the connection was not kept: %v", err)
	}
}
