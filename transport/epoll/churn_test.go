//go:build linux

package epoll

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"

	"github.com/seed004e8d11/websock/engine"
)

// Connections come and go on two loops, so that descriptors are used again at once.
func TestConnectionsWithUsedDescriptorsGetTheirOwnMessages(t *testing.T) {
	m := Loops(2)
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := range 40 {
				comeAndGo(t, m, fmt.Sprint(w, "/", i))
			}
		})
	}
	workers.Wait()
	until(t, "the loops stop", func() bool { return fmt.Sprint(m.loops.conns()) == "[-1 -1]" })
}

// comeAndGo has two connections exchange messages and end, each in one of many ways.
func comeAndGo(t *testing.T, m Factory, token string) {
	near, far := netpair.Sockets(t, []string{"tcp", "unix"}[rand.IntN(2)])
	carrier, err := m.Attach(near, nil)
	if err != nil {
		t.Error(err)
		return
	}
	other, err := m.Attach(far, nil)
	if err != nil {
		t.Error(err)
		return
	}
	limits := engine.Limits{CloseTimeout: 30 * time.Millisecond}
	client := engine.NewConn(carrier, engine.Options{Limits: limits})
	server := engine.NewConn(other, engine.Options{Role: engine.Server, Limits: limits})
	closed := make(chan struct{}, 2)
	onClose := func(*engine.Conn, error) { closed <- struct{}{} }
	server.SetHandler(engine.Messages(func(c *engine.Conn, op engine.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, onClose))
	handlers := 1
	received := make(chan string, 10)
	pulled := rand.IntN(2) == 0
	if !pulled {
		client.SetHandler(engine.Messages(func(_ *engine.Conn, _ engine.Opcode, msg []byte) { received <- string(msg) }, onClose))
		handlers++
	}
	for range rand.IntN(5) {
		client.SendText([]byte(token))
		if pulled {
			_, msg, _ := client.RecvMessage(nil)
			received <- string(msg)
		}
		select {
		case got := <-received:
			if got != token {
				t.Errorf("%q instead of %q", got, token)
			}
		case <-time.After(10 * time.Second):
			t.Error("a message was lost")
		}
	}
	ends := []func(){func() { client.Abort(nil) }, func() { client.Close() }, func() { server.Close() }, func() { server.Abort(nil) }}
	go ends[rand.IntN(len(ends))]()
	if pulled {
		client.RecvMessage(nil)
	}
	for range handlers {
		select {
		case <-closed:
		case <-time.After(10 * time.Second):
			t.Error("OnClose was not called")
		}
	}
	if pulled {
		client.Close()
	}
}
