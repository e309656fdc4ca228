//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
)

func TestHandlersMessageIsSentThoughThePeerNeverStopsSending(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	c := websock.NewConn(tr, websock.Client, websock.Options{})
	defer c.Abort(nil)
	var arrived atomic.Bool
	go func() {
		if _, err := io.ReadFull(server, make([]byte, 7)); err == nil {
			arrived.Store(true)
		}
	}()
	ended := make(chan bool)
	calls, longEnough := 0, time.Now().Add(time.Minute)
	c.SetHandler(websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
		if calls++; calls == 1 {
			c.SendText([]byte("x"))
		}
		if arrived.Load() || time.Now().After(longEnough) {
			c.Pause()
			ended <- arrived.Load()
			return
		}
		io.WriteString(server, "\x81\x01y")
		waitUntil(t, "bytes are received", func() bool { return !tr.isEmpty() })
	}, nil))
	io.WriteString(server, "\x81\x01y")
	if !<-ended {
		t.Error("the peer has not got the message")
	}
}
