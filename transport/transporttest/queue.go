package transporttest

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// A peer that doesn't read makes TrySend return ErrSendQueueFull, also while another goroutine
// waits for that peer. What was accepted arrives once it reads.
func (s Suite) testTrySendNeverBlocks(t *testing.T) {
	const size = 16 << 10
	s.eachNetwork(t, func(t *testing.T, network string) {
		pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
			client, server := s.pair(t, network, websock.Limits{WhenFull: websock.QueueWaits})
			begin(client)
			accepted := 0
			try := func() (err error) {
				if err = client.TrySend(websock.OpBinary, bytes.Repeat([]byte{byte(accepted)}, size)); err == nil {
					accepted++
				}
				return err
			}
			soon(t, "TrySend", func() {
				err := try()
				for err == nil {
					err = try()
				}
				if !errors.Is(err, websock.ErrSendQueueFull) {
					t.Errorf("TrySend to a peer that doesn't read: %v", err)
				}
			})
			waits := make(chan error, 1)
			go func() { waits <- client.SendText([]byte("waited")) }()
			soon(t, "TrySend while another goroutine sends", func() {
				for range 100 {
					if err := try(); err != nil && !errors.Is(err, websock.ErrSendQueueFull) {
						t.Errorf("TrySend while another goroutine sends: %v", err)
					}
				}
			})
			soon(t, "receiving", func() {
				var msg []byte
				for binary, text := 0, false; binary < accepted || !text; {
					op, m, err := server.RecvMessage(msg[:0])
					if err != nil {
						t.Error(err)
						return
					}
					msg = m
					if op == websock.OpBinary {
						if len(m) != size || m[0] != byte(binary) || m[size-1] != byte(binary) {
							t.Errorf("message %d: %d bytes, or others", binary, len(m))
						}
						binary++
					} else if text = true; string(m) != "waited" {
						t.Errorf("received %q", m)
					}
				}
				if err := <-waits; err != nil { // not before: it may also write what gathered meanwhile
					t.Errorf("the send that waited: %v", err)
				}
			})
			soon(t, "TrySend to a peer that reads", func() {
				for try() != nil {
					time.Sleep(time.Millisecond)
				}
				if _, m, err := server.RecvMessage(nil); len(m) != size || err != nil {
					t.Errorf("%d bytes, %v", len(m), err)
				}
			})
		})
	})
}

// A context that ends while SendContext waits leaves the connection as it was.
func (s Suite) testSendContextSendsNothingWhenItsContextEnds(t *testing.T) {
	const size = 16 << 10
	s.eachNetwork(t, func(t *testing.T, network string) {
		pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
			client, server := s.pair(t, network, websock.Limits{})
			begin(client)
			message := make([]byte, size)
			accepted := 0
			soon(t, "SendContext", func() {
				for range 3 { // also with nothing sent between
					ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
					defer cancel()
					for {
						if err := client.SendContext(ctx, websock.OpBinary, message); err == nil {
							accepted++
						} else if errors.Is(err, context.DeadlineExceeded) {
							break
						} else {
							t.Error(err)
							break
						}
					}
				}
				ctx, cancel := context.WithCancel(context.Background())
				time.AfterFunc(20*time.Millisecond, cancel)
				err := client.SendContext(ctx, websock.OpBinary, message)
				for ; err == nil; err = client.SendContext(ctx, websock.OpBinary, message) {
					accepted++ // on a slow machine there was still room
				}
				if err != context.Canceled {
					t.Errorf("canceled: %v", err)
				}
			})
			if err := client.Err(); err != nil {
				t.Fatalf("the connection is over: %v", err)
			}
			sent := make(chan error, 1)
			go func() { sent <- client.SendContext(context.Background(), websock.OpText, []byte("last")) }()
			soon(t, "receiving", func() {
				for i := range accepted {
					if op, m, err := server.RecvMessage(nil); op != websock.OpBinary || len(m) != size || err != nil {
						t.Errorf("message %d: %v of %d bytes, %v", i, op, len(m), err)
						return
					}
				}
				if _, m, err := server.RecvMessage(nil); string(m) != "last" || err != nil {
					t.Errorf("%q, %v", m, err)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
			})
		})
	})
}

// A context that ends when a part of a frame is out ends the connection.
func (s Suite) testCancellingSendContextInTheMiddleOfAFrameIsFatal(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
			client, server := s.pair(t, network, websock.Limits{CloseTimeout: 50 * time.Millisecond})
			begin(client)
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				server.Recv(make([]byte, 1))
				cancel()
			}()
			soon(t, "SendContext", func() {
				message := make([]byte, 16<<20)
				for _, when := range []string{"in the middle", "afterwards"} {
					err := client.SendContext(ctx, websock.OpBinary, message)
					var closed *websock.CloseError
					if !errors.Is(err, context.Canceled) || !errors.As(err, &closed) || closed.Code != websock.CloseAbnormal {
						t.Errorf("%s: %v", when, err)
					}
				}
				client.Close()
			})
		})
	})
}

// A Handler that sends to a peer that doesn't read gets its goroutine back, whichever call it
// uses: an event loop that waits for itself would wait for ever.
func (s Suite) testAHandlerNeverBlocksOnItsOwnQueue(t *testing.T) {
	for _, size := range []int{16 << 10, 200 << 10} {
		client, server := s.pair(t, "tcp", websock.Limits{})
		refused := make(chan error, 1)
		p := make([]byte, size)
		h := websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			if c.Queues() {
				ctx = context.Background()
			}
			defer cancel()
			for {
				if err := c.SendContext(ctx, websock.OpBinary, p); err != nil {
					refused <- err
					return
				}
			}
		}, nil)
		if err := client.SetHandler(h); err != nil {
			t.Fatal(err)
		}
		if err := server.SendText([]byte("go")); err != nil {
			t.Fatal(err)
		}
		soon(t, "a Handler that sends", func() {
			if err := <-refused; !errors.Is(err, websock.ErrSendQueueFull) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d bytes: %v", size, err)
			}
		})
	}
}

// A peer that reads nothing must not keep the Handlers of other connections from being
// called. What is sent to it is refused once its queue is full, or waits, each as the
// transport has it.
func (s Suite) testAStalledPeerDelaysNoOtherConnection(t *testing.T) {
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

func (s Suite) testABlockedSenderLosesNothing(t *testing.T) {
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
func (s Suite) testPeersThatBothSendMuchDoNotDeadlock(t *testing.T) {
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
