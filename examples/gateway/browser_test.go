package main

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// padded returns a message that is large, so that few of them fill the buffers of a connection.
func padded(value int) string {
	return strings.Replace(message("x", value), "{", `{"padding":"`+strings.Repeat("-", 60<<10)+`",`, 1)
}

// openSlow connects a browser whose system keeps little for it.
func openSlow(t *testing.T, url string) testPage {
	t.Helper()
	return openWith(t, url, func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(16 << 10)
		}
		return conn, err
	})
}

func TestSlowBrowserGetsTheLatestAndDelaysNobody(t *testing.T) {
	u := newUpstream(t)
	_, url := newTestGateway(t, u, func(l *limits) { l.patience = time.Minute })
	upstream := <-u.conns
	slow, quick := openSlow(t, url), open(t, url)
	slow.ask(request{Subscribe: "x"})
	u.asked(t, "+x")
	quick.ask(request{Subscribe: "x"})
	quick.ask(request{Subscribe: "y"})
	u.asked(t, "+y")
	const last = 120 // 7 MB, more than the system keeps for a connection
	for value := range last + 1 {
		upstream.SendText([]byte(padded(value)))
		quick.expect(padded(value))
	}
	received := 0
	for got := ""; got != padded(last); received++ {
		got = slow.next()
	}
	if received > last*3/4 {
		t.Errorf("%d of %d messages were kept for the slow browser", received, last)
	}
	upstream.SendText([]byte(message("x", 1))) // it keeps up again
	slow.expect(message("x", 1))
}

func TestBrowserThatReadsNothingIsCutOff(t *testing.T) {
	u := newUpstream(t)
	g, url := newTestGateway(t, u, func(l *limits) { l.patience = 50 * time.Millisecond })
	upstream := <-u.conns
	stuck := openSlow(t, url)
	stuck.ask(request{Subscribe: "x"})
	u.asked(t, "+x")
	gone := false
	for value := 0; !gone; value++ {
		if err := upstream.SendText([]byte(padded(value))); err != nil {
			t.Fatal(err)
		}
		g.mu.Lock()
		gone = len(g.browsers) == 0
		g.mu.Unlock()
	}
	var err error
	for err == nil {
		stuck.conn.SetRecvDeadline(time.Now().Add(time.Minute))
		_, _, err = stuck.conn.RecvMessage(nil)
	}
	if errors.Is(err, websock.ErrTimeout) {
		t.Error(err)
	}
	u.asked(t, "-x")
}
