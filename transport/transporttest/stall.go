package transporttest

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A peer that reads nothing must not keep the Handlers of other connections from being
// called. What is sent to it is refused once its queue is full, or waits, each as the
// transport has it.
func (s Suite) testAStalledPeerHoldsUpNobodyElse(t *testing.T) {
	limits := websock.Limits{CloseTimeout: 20 * time.Millisecond}
	a, _ := s.sockets(t, "tcp")
	stalled := s.conn(t, a, websock.Client, limits)
	h := newCollector()
	stalled.SetHandler(h.handler())
	stalled.SetSendDeadline(time.Now().Add(200 * time.Millisecond))
	full := make(chan error, 1)
	go func() {
		payload := make([]byte, 32<<10)
		for {
			if err := stalled.SendBinary(payload); err != nil {
				full <- err
				return
			}
		}
	}()
	for range 8 { // on all loops there may be
		client, server := s.pair(t, "tcp", limits)
		go echo(server)
		h := newCollector()
		client.SetHandler(h.handler())
		for range 20 {
			if err := client.SendText([]byte("ping")); err != nil {
				t.Fatal(err)
			}
			<-h.messages
		}
	}
	err := <-full
	var limit *websock.LimitError
	if refused := errors.As(err, &limit) && limit.Limit == "SendQueue"; !refused {
		var closed *websock.CloseError
		if !errors.As(err, &closed) || closed.Code != websock.CloseAbnormal {
			t.Errorf("the send returned %v", err)
		}
	}
	stalled.Close()
	<-h.closed
}

func (s Suite) testASenderThatWaitsLosesNothing(t *testing.T) {
	const messages, size = 40, 100 << 10
	client, server := s.pair(t, "tcp", websock.Limits{WhenFull: websock.QueueWaits})
	h := newCollector()
	client.SetHandler(h.handler()) // so that even so it waits
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := client.SendBinary(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	time.Sleep(20 * time.Millisecond) // until all buffers are full
	var msg []byte
	for i := range messages {
		_, m, err := server.RecvMessage(msg[:0])
		if err != nil || len(m) != size || m[0] != byte(i) || m[size-1] != byte(i) {
			t.Fatalf("message %d: %d bytes, %v", i, len(m), err)
		}
		msg = m
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// Neither of two peers may wait for the other to read before it reads on itself.
func (s Suite) testPeersThatSendMuchToEachOtherReceiveIt(t *testing.T) {
	const messages, size = 1000, 20 << 10 // more than the system's buffers take
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{WhenFull: websock.QueueWaits})
		peers := []*websock.Conn{client, server}
		sent := make(chan error, len(peers))
		var received []*collector
		for _, c := range peers {
			h := newCollector()
			received = append(received, h)
			c.SetHandler(h.handler())
			go func() {
				var err error
				for i := 0; err == nil && i < messages; i++ {
					err = c.SendBinary(bytes.Repeat([]byte{byte(i)}, size))
				}
				sent <- err
			}()
		}
		for _, h := range received {
			for i := range messages {
				if msg := <-h.messages; len(msg) != size || msg[0] != byte(i) {
					t.Fatalf("message %d: %d bytes", i, len(msg))
				}
			}
		}
		for range peers {
			if err := <-sent; err != nil {
				t.Error(err)
			}
		}
	})
}

func (s Suite) testHandlerAfterPulling(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.pair(t, network, websock.Limits{})
		go func() {
			server.Cork()
			server.SendText([]byte("pulled"))
			server.SendText([]byte("pushed"))
			server.Flush()
			echo(server)
		}()
		if _, msg, err := client.RecvMessage(nil); string(msg) != "pulled" || err != nil {
			t.Fatalf("%q, %v", msg, err)
		}
		if _, _, err := client.RecvTimeout(nil, -1); err != nil && !errors.Is(err, websock.ErrTimeout) {
			t.Fatal(err) // a timeout that must not be the Handler's
		}
		h := newCollector()
		if err := client.SetHandler(h.handler()); err != nil {
			t.Fatal(err)
		}
		if got := <-h.messages; got != "pushed" {
			t.Errorf("%q", got)
		}
		client.SendText([]byte("echoed"))
		if got := <-h.messages; got != "echoed" {
			t.Errorf("%q", got)
		}
	})
}
