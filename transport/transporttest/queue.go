package transporttest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
)

// If the peer does not read, TrySend returns ErrSendQueueFull, also while another goroutine is blocked
// in a send. What TrySend has accepted arrives once the peer reads.
func (s Suite) testTrySendNeverBlocks(t *testing.T) {
	const size = 16 << 10
	s.eachNetwork(t, func(t *testing.T, network string) {
		s.pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
			client, server := s.pair(t, network, websock.Limits{WhenFull: websock.QueueWaits})
			begin(client)
			accepted := 0
			try := func() (err error) {
				if err = client.TrySend(websock.OpBinary, bytes.Repeat([]byte{byte(accepted)}, size)); err == nil {
					accepted++
				}
				return err
			}
			returnsWithin(t, 2*patience, "TrySend", func() {
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
			returnsWithin(t, 2*patience, "TrySend while another goroutine sends", func() {
				for range 100 {
					if err := try(); err != nil && !errors.Is(err, websock.ErrSendQueueFull) {
						t.Errorf("TrySend while another goroutine sends: %v", err)
					}
				}
			})
			returnsWithin(t, 2*patience, "receiving", func() {
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
			returnsWithin(t, 2*patience, "TrySend to a peer that reads", func() {
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

func (s Suite) testSendContextSendsNothingWhenItsContextEnds(t *testing.T) {
	const size = 16 << 10
	s.eachNetwork(t, func(t *testing.T, network string) {
		s.pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
			client, server := s.pair(t, network, websock.Limits{})
			begin(client)
			message := make([]byte, size)
			accepted := 0
			returnsWithin(t, 2*patience, "SendContext", func() {
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
			returnsWithin(t, 2*patience, "receiving", func() {
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

func (s Suite) testCancellingSendContextInTheMiddleOfAFrameIsFatal(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		s.pulledAndPushed(t, func(t *testing.T, begin func(c *websock.Conn)) {
			client, server := s.pair(t, network, websock.Limits{CloseTimeout: 50 * time.Millisecond})
			begin(client)
			ctx, cancel := context.WithCancel(context.Background())
			go func() {
				server.Recv(make([]byte, 1))
				cancel()
			}()
			returnsWithin(t, 2*patience, "SendContext", func() {
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

// Sends in a Handler to a peer that does not read return. On an event loop they would otherwise wait
// for the goroutine that they block.
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
		setHandler(t, client, h)
		if err := server.SendText([]byte("go")); err != nil {
			t.Fatal(err)
		}
		returnsWithin(t, 2*patience, "a Handler that sends", func() {
			if err := <-refused; !errors.Is(err, websock.ErrSendQueueFull) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%d bytes: %v", size, err)
			}
		})
	}
}

// A peer that does not read does not delay the Handlers of other connections. Once its queue is full,
// sends to it block, or fail if the transport queues.
func (s Suite) testAStalledPeerDelaysNoOtherConnection(t *testing.T) {
	limits := websock.Limits{CloseTimeout: 20 * time.Millisecond}
	a, _ := s.sockets(t, "tcp")
	stalled := s.conn(t, a, websock.Client, limits)
	h := newCollector()
	setHandler(t, stalled, h.handler())
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
		setHandler(t, client, h.handler())
		for range 20 {
			if err := client.SendText([]byte("ping")); err != nil {
				t.Fatal(err)
			}
			wait(t, "a message", h.messages)
		}
	}
	err := wait(t, "the end of sending", full)
	var limit *websock.LimitError
	if refused := errors.As(err, &limit) && limit.Limit == "SendQueue"; !refused {
		var closed *websock.CloseError
		if !errors.As(err, &closed) || closed.Code != websock.CloseAbnormal {
			t.Errorf("the send returned %v", err)
		}
	}
	stalled.Close()
	wait(t, "OnClose", h.closed)
}

func (s Suite) testABlockedSenderLosesNothing(t *testing.T) {
	const messages, size = 40, 100 << 10
	client, server := s.pair(t, "tcp", websock.Limits{WhenFull: websock.QueueWaits})
	h := newCollector()
	setHandler(t, client, h.handler()) // so that even so it waits
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
	if err := wait(t, "the sender", sent); err != nil {
		t.Error(err)
	}
}

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
			setHandler(t, c, h.handler())
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
				if msg := wait(t, "a message", h.messages); len(msg) != size || msg[0] != byte(i) {
					t.Fatalf("message %d: %d bytes", i, len(msg))
				}
			}
		}
		for range peers {
			if err := wait(t, "the sender", sent); err != nil {
				t.Error(err)
			}
		}
	})
}

// What a Receiver has written with WriteBehind reaches the peer, and before what is written or ended
// after that. The Conn keeps none of the buffers.
func (s Suite) testWhatIsWrittenBehindComesFirst(t *testing.T) {
	for name, after := range map[string]func(c transport.Conn){
		"nothing":            func(transport.Conn) {},
		"Writev":             func(c transport.Conn) { c.Writev([]byte("then "), []byte("more")) },
		"another goroutine":  func(c transport.Conn) { go c.Writev([]byte("then more")) },
		"WriteBehind":        func(c transport.Conn) { c.(transport.Batcher).WriteBehind([]byte("then more")) },
		"CloseWrite":         func(c transport.Conn) { c.CloseWrite() },
		"Linger":             func(c transport.Conn) { c.Linger(patience) },
		"Close":              func(c transport.Conn) { c.Close() },
		"a deadline of zero": func(c transport.Conn) { c.SetWriteDeadline(time.Unix(1, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			client, peer := s.sockets(t, "tcp")
			c := s.attach(t, client, nil)
			if b, ok := c.(transport.Batcher); !ok || !b.Batches() {
				t.Skip("the transport is not a transport.Batcher")
			}
			if err := c.(transport.Pusher).Push(&behindWriter{c, after}); err != nil {
				t.Fatal(err)
			}
			io.WriteString(peer, "x")
			want := "written behind, "
			switch name {
			case "Writev", "another goroutine", "WriteBehind":
				want += "then more"
			}
			got := make([]byte, len(want))
			peer.SetReadDeadline(time.Now().Add(patience))
			if n, err := io.ReadFull(peer, got); err != nil || string(got) != want {
				t.Errorf("%q came, %v; want %q", got[:n], err, want)
			}
		})
	}
}
