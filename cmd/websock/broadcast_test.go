package main

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// A client that doesn't read must neither fill the server's memory nor keep the others from
// being sent to.
func TestBroadcastDropsAClientThatDoesNotRead(t *testing.T) {
	const enough = 100 // messages, more than the system's buffers take
	servers(t, func(t *testing.T, transport, url string, config websock.Config) {
		fast, err := websock.Dial(t.Context(), url, &config)
		if err != nil {
			t.Fatal(err)
		}
		defer fast.Close()
		config.NetDial = narrowly
		slow, err := websock.Dial(t.Context(), url, &config)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		for range enough {
			if _, _, err := fast.RecvMessage(nil); err != nil {
				t.Fatal(err)
			}
		}
		for range enough {
			if _, _, err = slow.RecvMessage(nil); err != nil {
				break
			}
		}
		want := engine.ClosePolicyViolation
		if transport == "std" {
			want = engine.CloseAbnormal // the server can't tell it in the middle of a message
		}
		var closed *engine.CloseError
		if !errors.As(err, &closed) || closed.Local || closed.Code != want {
			t.Errorf("the slow one: %v, want %v", err, want)
		}
		if _, _, err := fast.RecvMessage(nil); err != nil {
			t.Errorf("the other one: %v", err)
		}
	}, "-push", "20ms", "-size", "100000") // which the fast one takes on a slow machine too
}

// narrowly dials a connection whose receive buffer is small.
func narrowly(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		err = conn.(*net.TCPConn).SetReadBuffer(256 << 10)
	}
	return conn, err
}
