package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// Messages are sent in all ways at once to a slow peer. Those that were accepted arrive once and
// whole, and those that were refused do not.
func (s Suite) testEveryAcceptedMessageArrivesOnce(t *testing.T) {
	for name, z := range map[string]websock.Compression{"plain": {}, "compressed": websock.DefaultCompression} {
		t.Run(name, func(t *testing.T) {
			a, b := s.sockets(t, "tcp")
			limits := websock.Limits{SendQueue: 8 << 10, CloseTimeout: patience}
			client := websock.NewConn(s.attach(t, a, nil), websock.Client, websock.Options{Limits: limits, Compression: z})
			server := websock.NewConn(s.attach(t, b, nil), websock.Server, websock.Options{Limits: limits, Compression: z})
			ways := map[string]func(p []byte) error{
				"SendText": client.SendText,
				"TrySend":  func(p []byte) error { return client.TrySend(websock.OpText, p) },
				"SendContext": func(p []byte) error {
					ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
					defer cancel()
					return client.SendContext(ctx, websock.OpText, p)
				},
				"SendPrepared": func(p []byte) error {
					message, err := websock.NewPreparedMessage(websock.OpText, p)
					return errors.Join(err, client.SendPrepared(message))
				},
				"Reserve": func(p []byte) error {
					sb, err := client.Reserve(len(p))
					if err != nil {
						return err
					}
					defer sb.Release()
					copied := sb
					copy(sb.Bytes(), p)
					return copied.SendText(len(p))
				},
				"NetConn": func(p []byte) error { _, err := client.NetConn(websock.OpText).Write(p); return err },
				"NextWriter": func(p []byte) error {
					w, err := client.NextWriter(websock.OpText)
					if err != nil {
						return err
					}
					defer w.Close() // once more
					_, err = w.Write(p)
					return errors.Join(err, w.Close())
				},
			}
			var accepted, refused atomic.Int32
			var sending sync.WaitGroup
			for way, send := range ways {
				for g := range 2 {
					if way == "NextWriter" && g > 0 {
						continue // there is one at a time
					}
					sending.Go(func() {
						for i := range 60 {
							size := []int{10, 3000, 7000}[i%3]
							p := []byte(fmt.Sprintf("%s %d %d ", way, g, i))
							p = append(p, strings.Repeat("x", size)...)
							switch err := send(p); {
							case err == nil:
								accepted.Add(1)
							case errors.Is(err, websock.ErrSendQueueFull), errors.Is(err, context.DeadlineExceeded), errors.Is(err, websock.ErrFrameOrder):
								refused.Add(1)
							default:
								t.Errorf("%s: %v", way, err)
							}
						}
					})
				}
			}
			go func() {
				sending.Wait()
				client.CloseWith(websock.CloseNormal, "")
			}()
			returnsWithin(t, 2*patience, "receiving", func() {
				seen := map[string]bool{}
				var err error
				for n := 0; err == nil; n++ {
					var msg []byte
					if _, msg, err = server.RecvMessage(nil); err != nil {
						break
					}
					head := strings.TrimRight(string(msg), "x")
					if size := len(msg) - len(head); seen[head] || size != 10 && size != 3000 && size != 7000 {
						t.Errorf("%q came twice, or torn: %d bytes", head, size)
					}
					seen[head] = true
					if n%20 == 0 {
						time.Sleep(2 * time.Millisecond)
					}
				}
				var closed *websock.CloseError
				if !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
					t.Errorf("the end: %v", err)
				}
				if len(seen) != int(accepted.Load()) {
					t.Errorf("%d messages came, %d were accepted, %d refused", len(seen), accepted.Load(), refused.Load())
				}
			})
		})
	}
}

// Several goroutines and the Handler itself call methods at random. OnClose comes once, and no call
// after it.
func (s Suite) testOnCloseComesOnceWhateverIsCalled(t *testing.T) {
	const rounds, actors, actions = 30, 3, 6
	s.eachNetwork(t, func(t *testing.T, network string) {
		for round := range rounds {
			client, peer := s.sockets(t, network)
			c := s.conn(t, client, websock.Client, websock.Limits{CloseTimeout: 20 * time.Millisecond})
			do := func(c *websock.Conn, random *rand.Rand) {
				switch random.IntN(12) {
				case 0:
					c.Abort(errCause)
				case 1:
					c.Close()
				case 2:
					c.Pause()
				case 3, 4:
					c.Resume()
				case 5:
					c.SetRecvDeadline(time.Now().Add(time.Duration(random.IntN(1000)) * time.Microsecond))
				case 6:
					c.SetSendDeadline(time.Now().Add(time.Duration(random.IntN(1000)) * time.Microsecond))
				case 7:
					socketOf(peer).Close()
				case 8:
					c.Cork()
				case 9:
					c.Flush()
				default:
					c.SendText([]byte("text"))
				}
			}
			h := newScript()
			var over atomic.Bool
			inside := rand.New(rand.NewPCG(uint64(round), 0))
			h.data = func(c *websock.Conn, _ string) {
				if over.Load() {
					t.Error("OnData came after OnClose")
				}
				do(c, inside)
			}
			h.close = func(c *websock.Conn) {
				over.Store(true)
				do(c, inside)
			}
			setHandler(t, c, h)
			go io.Copy(io.Discard, peer)
			go func() {
				for {
					if _, err := io.WriteString(peer, "\x81\x01a\x01\x01b\x89\x00\x80\x01c"); err != nil {
						return
					}
				}
			}()
			var acting sync.WaitGroup
			for actor := range actors {
				random := rand.New(rand.NewPCG(uint64(round), uint64(actor+1)))
				acting.Go(func() {
					for range actions {
						do(c, random)
						time.Sleep(time.Duration(random.IntN(100)) * time.Microsecond)
					}
				})
			}
			returns(t, "what goroutines do", acting.Wait)
			returns(t, "Abort", func() { c.Abort(errCause) })
			wait(t, "OnClose", h.closed)
			socketOf(peer).Close()
			select {
			case err := <-h.closed:
				t.Fatalf("OnClose came again: %v", err)
			case <-time.After(time.Millisecond):
			}
		}
	})
}

// Calls of several goroutines race with one of the ways to end a connection. The calls of the Handler
// do not overlap, and OnClose is the last.
func (s Suite) testConcurrentCallsEndEachConnectionOnce(t *testing.T) {
	const conns, callers = 60, 3
	calls := []func(c *websock.Conn, peer net.Conn){
		func(c *websock.Conn, _ net.Conn) { c.Pause() },
		func(c *websock.Conn, _ net.Conn) { c.Resume() },
		func(c *websock.Conn, _ net.Conn) { c.SendBinary(make([]byte, rand.IntN(64<<10))) },
		func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now().Add(time.Hour)) },
		func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Time{}) },
		func(c *websock.Conn, _ net.Conn) { c.SetSendDeadline(time.Now().Add(time.Hour)) },
		func(c *websock.Conn, peer net.Conn) {
			peer.Write(bytes.Repeat([]byte("\x82\x05hello"), rand.IntN(500)))
		},
		func(c *websock.Conn, peer net.Conn) { peer.Write([]byte("\x89\x00\x8a\x00")) },
	}
	ends := []func(c *websock.Conn, peer net.Conn){
		func(c *websock.Conn, _ net.Conn) { c.Abort(nil) },
		func(c *websock.Conn, _ net.Conn) { c.Close() },
		func(c *websock.Conn, _ net.Conn) { c.SetRecvDeadline(time.Now().Add(-time.Second)) },
		func(c *websock.Conn, _ net.Conn) { c.SetSendDeadline(time.Now().Add(-time.Second)); c.SendText(nil) },
		func(c *websock.Conn, peer net.Conn) { peer.Close(); c.Resume() },
		func(c *websock.Conn, peer net.Conn) { peer.Write([]byte("\x88\x02\x03\xe8")); c.Resume() },
		func(c *websock.Conn, peer net.Conn) { peer.Write([]byte("\xff\xff")); c.Resume() },
	}
	limits := websock.Limits{CloseTimeout: 50 * time.Millisecond}
	var all sync.WaitGroup
	for i := range conns {
		client, peer := s.sockets(t, "tcp")
		all.Go(func() {
			c := s.conn(t, client, websock.Client, limits)
			h := &callChecker{done: make(chan struct{})}
			peer.SetWriteDeadline(time.Now().Add(5 * patience))
			var racing, reading sync.WaitGroup
			var raced atomic.Bool
			reading.Go(func() { // so slowly that sends wait for it, but none forever
				for !raced.Load() {
					peer.SetReadDeadline(time.Now().Add(time.Millisecond))
					io.CopyN(io.Discard, peer, 1<<10)
				}
			})
			for range callers {
				racing.Go(func() {
					for range rand.IntN(20) {
						calls[rand.IntN(len(calls))](c, peer)
					}
				})
			}
			racing.Go(func() {
				if err := c.SetHandler(h); err != nil {
					h.complain("SetHandler: " + err.Error())
					close(h.done)
				}
			})
			racing.Wait()
			raced.Store(true)
			reading.Wait()
			ends[i%len(ends)](c, peer)
			select {
			case <-h.done:
			case <-time.After(patience):
				t.Errorf("end %d: OnClose is not called; paused %v, Err %v", i%len(ends), c.Paused(), c.Err())
			}
			c.Abort(nil)
			if what := h.wrong.Load(); what != nil {
				t.Errorf("end %d: %s", i%len(ends), *what)
			}
		})
	}
	all.Wait()
}

// uses are calls that may be under way when a connection ends. Each must return.
var uses = map[string]func(c *websock.Conn, r *rand.Rand) error{
	"SendText":    func(c *websock.Conn, r *rand.Rand) error { return c.SendText(make([]byte, r.IntN(2000))) },
	"a large one": func(c *websock.Conn, r *rand.Rand) error { return c.SendBinary(make([]byte, 300<<10)) },
	"SendPing":    func(c *websock.Conn, r *rand.Rand) error { return c.SendPing([]byte("p")) },
	"TrySend":     func(c *websock.Conn, r *rand.Rand) error { return c.TrySend(websock.OpText, []byte("t")) },
	"Cork": func(c *websock.Conn, r *rand.Rand) error {
		c.Cork()
		for range r.IntN(5) {
			c.SendText([]byte("corked"))
		}
		return errors.Join(c.Flush(), c.Err())
	},
	"a writer": func(c *websock.Conn, r *rand.Rand) error {
		w, err := c.NextWriter(websock.OpBinary)
		if err != nil {
			return err
		}
		for range r.IntN(3) {
			w.Write(make([]byte, 20<<10))
		}
		return w.Close()
	},
	"Reserve": func(c *websock.Conn, r *rand.Rand) error {
		b, err := c.Reserve(1000)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		if r.IntN(2) == 0 {
			b.Release()
			return nil
		}
		clear(b.Bytes())
		return b.SendText(r.IntN(1000))
	},
	"Drain": func(c *websock.Conn, r *rand.Rand) error { return c.Drain(0) },
	"deadlines": func(c *websock.Conn, r *rand.Rand) error {
		c.SetRecvDeadline(time.Now().Add(time.Hour))
		c.SetSendDeadline(time.Time{})
		return c.Err()
	},
	"Pause": func(c *websock.Conn, r *rand.Rand) error {
		c.Pause()
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		c.Resume()
		return c.Err()
	},
}

// finishes are ways to end a connection.
var finishes = map[string]func(c *websock.Conn){
	"Close":     func(c *websock.Conn) { c.Close() },
	"Abort":     func(c *websock.Conn) { c.Abort(nil) },
	"both":      func(c *websock.Conn) { go c.Close(); c.Abort(nil) },
	"twice":     func(c *websock.Conn) { go c.CloseWith(4000, "a"); c.CloseWith(4001, "b") },
	"a timeout": func(c *websock.Conn) { c.SetSendDeadline(time.Now()); c.SendText(nil); c.Close() },
}

// Whatever a connection is used for and whichever side ends it, all calls return, OnClose comes once,
// and no call comes after it.
func (s Suite) testEveryCallReturnsWhenTheConnectionEnds(t *testing.T) {
	for end, finish := range finishes {
		for _, way := range []string{"pulled", "pushed"} {
			for _, both := range []bool{false, true} {
				t.Run(end+", "+way, func(t *testing.T) {
					if way == "pushed" {
						s.require(t, pusher)
					}
					t.Parallel()
					for seed := range uint64(3) {
						s.play(t, seed, way == "pushed", both, finish)
					}
				})
			}
		}
	}
}

// play uses a connection from both ends, in all ways, until one or both of them finish.
func (s Suite) play(t *testing.T, seed uint64, pushed, both bool, finish func(*websock.Conn)) {
	limits := websock.Limits{CloseTimeout: 300 * time.Millisecond, SendQueue: 16 << 10}
	client, server := s.pair(t, "tcp", limits)
	var running sync.WaitGroup
	for side, c := range []*websock.Conn{client, server} {
		if pushed {
			over := make(chan error, 10)
			var ended atomic.Bool
			setHandler(t, c, websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				if ended.Load() {
					t.Error("OnData came after OnClose")
				}
				if len(msg) < 100 {
					c.SendFrame(op, true, msg)
				}
			}, func(c *websock.Conn, err error) {
				ended.Store(true)
				c.Close()
				over <- err
			}))
			running.Go(func() {
				if err := wait(t, "OnClose", over); err == nil {
					t.Error("OnClose got nil")
				}
				time.Sleep(time.Millisecond)
				if len(over) > 0 {
					t.Errorf("OnClose came twice, with %v", <-over)
				}
			})
		} else {
			running.Go(func() {
				var msg []byte
				for {
					var err error
					var closed *websock.CloseError // which may be because of a timeout, too
					if _, msg, err = c.RecvMessage(msg[:0]); errors.As(err, &closed) {
						c.Close()
						return
					}
				}
			})
		}
		for name, use := range uses {
			r := rand.New(rand.NewPCG(seed, uint64(len(name)+100*side)))
			running.Go(func() {
				for {
					err := use(c, r)
					var closed *websock.CloseError
					if errors.As(err, &closed) {
						return
					}
					time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
				}
			})
		}
	}
	time.Sleep(time.Duration(seed) * 5 * time.Millisecond)
	if both {
		go finish(server)
	}
	finish(client)
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	wait(t, "the end of all calls", done)
	for _, c := range []*websock.Conn{client, server} {
		if c.Err() == nil {
			t.Error("Err returns nil")
		}
	}
}
