//go:build linux

package epoll

import (
	"context"
	stdtls "crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

func TestWhatTheRingDoesNotSendIsSentAfterIt(t *testing.T) {
	for name, instead := range map[string]func() (int, syscall.Errno){
		"a short send":  func() (int, syscall.Errno) { return 3, 0 },
		"EAGAIN":        func() (int, syscall.Errno) { return 0, unix.EAGAIN },
		"ENOBUFS":       func() (int, syscall.Errno) { return 0, unix.ENOBUFS },
		"ENOMEM":        func() (int, syscall.Errno) { return 0, unix.ENOMEM },
		"EINTR":         func() (int, syscall.Errno) { return 0, unix.EINTR },
		"a whole short": func() (int, syscall.Errno) { return 0, 0 },
	} {
		t.Run(name, func(t *testing.T) {
			w := doubled(t, 6, &plainRing{instead: func(q request) (int, syscall.Errno) {
				if q.send && q.tag%2 == 0 {
					return instead()
				}
				return -1, 0
			}})
			for round := range 5 {
				w.all(t, func(i int) string { return fmt.Sprint("message ", round, i) })
			}
			for i, m := range w.members {
				for round := range 5 {
					m.answers(t, fmt.Sprint("message ", round, i))
				}
				m.end(t)
				wantEnd(t, m, m.got(), io.EOF)
				if rest, err := io.ReadAll(m.peer); len(rest) > 0 || err != nil {
					t.Errorf("%d bytes came too much, %v", len(rest), err)
				}
			}
		})
	}
}

// Half of the peers read nothing until there is a queue for them.
func TestAnswersToPeersThatDoNotReadAreQueued(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 8, hook)
		var want [8][]byte
		for i, m := range w.members {
			answers := 0
			m.each = func([]byte) {
				answer := numbered(i*1000+answers, maxHeld-7)
				answers++
				want[i] = append(want[i], answer...)
				m.c.WriteBehind(answer)
			}
		}
		for round := 0; w.members[0].c.Queued() < 64<<10; round++ {
			w.all(t, func(int) string { return "x" })
			for i, m := range w.members {
				if i%2 == 1 {
					m.answers(t, string(numbered(i*1000+round, maxHeld-7)))
				}
			}
		}
		w.settle(t)
		for i, m := range w.members {
			if i%2 == 0 {
				waitUntil(t, "bytes are queued", func() bool { return m.c.Queued() > 0 })
				m.answers(t, string(want[i]))
			} else {
				m.silent(t)
			}
			waitUntil(t, "all is sent", func() bool { return m.c.Queued() == 0 })
		}
	})
}

// A Handler that sends more than its peer takes gets what Limits.SendQueue says.
func TestSendQueueLimitsAnswersOfABatch(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		loops := Factory{&loopGroup{size: 1, ring: hook}}
		full := make(chan error, 8)
		for range 8 {
			client, peer := netpair.Sockets(t, "tcp")
			client.(*net.TCPConn).SetWriteBuffer(16 << 10)
			peer.(*net.TCPConn).SetReadBuffer(16 << 10)
			inner, err := loops.Attach(client, nil)
			if err != nil {
				t.Fatal(err)
			}
			c := websock.NewConn(inner, websock.Client, websock.Options{Limits: websock.Limits{SendQueue: 32 << 10}})
			answer := make([]byte, 3000)
			failed := false
			c.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, _ []byte) {
				if err := c.SendFrame(op, true, answer); err != nil && !failed {
					failed = true
					if queued := inner.Queued(); queued > 40<<10 {
						t.Errorf("%d bytes are queued", queued)
					}
					full <- err
				}
			}, nil))
			go func() {
				for {
					if _, err := io.WriteString(peer, "\x82\x01x"); err != nil {
						return
					}
				}
			}()
			t.Cleanup(func() { c.Abort(nil); peer.Close() })
		}
		for range 8 {
			select {
			case <-full:
			case <-time.After(20 * time.Second):
				t.Fatal("no send fails")
			}
		}
	})
}

// The receiver of a connection to which nothing can be sent gets the error, and what has arrived and
// arrives later.
func TestErrorsOfSendsInABatchReachTheReceiver(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.EPIPE, unix.ECONNRESET} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			failing := 0
			w := doubled(t, 5, &plainRing{instead: func(q request) (int, syscall.Errno) {
				if q.send && q.fd == failing {
					return 0, errno
				}
				return -1, 0
			}})
			w.holdForever(t)
			broken := w.members[2]
			failures := make(chan error, 10)
			broken.sendFailed = func(err error) { failures <- err }
			w.together(t, func() {
				failing = int(broken.c.fd)
				for _, m := range w.members {
					m.say(t, "first ")
				}
			})
			for i, m := range w.members {
				if i != 2 {
					m.answers(t, "first ")
				}
			}
			w.all(t, func(int) string { return "second" })
			for i, m := range w.members {
				if i != 2 {
					m.answers(t, "second")
				}
			}
			broken.end(t)
			wantEnd(t, broken, "first second", io.EOF)
			if err := <-failures; !errors.Is(err, errno) || len(failures) > 0 {
				t.Errorf("the receiver got %v and %d more", err, len(failures))
			}
			if err := broken.c.Writev([]byte("x")); !errors.Is(err, errno) && err != net.ErrClosed {
				t.Errorf("Writev returns %v", err)
			}
		})
	}
}

// A connection's receiver writes behind, and then, in the same batch, that of another one or another
// goroutine makes a call.
func TestCallsAfterWhatIsHeldBack(t *testing.T) {
	tests := []struct {
		name string
		call func(c *Conn)
		want string
		ends bool // the peer gets the end of the stream
	}{
		{"Writev", func(c *Conn) { c.Writev([]byte(" and "), []byte("more")) }, "answer and more", false},
		{"TryWrite", func(c *Conn) { c.TryWrite([]byte(" and more")) }, "answer and more", false},
		{"Drain", func(c *Conn) { c.Drain(context.Background(), 0) }, "answer", false},
		{"SetWriteDeadline", func(c *Conn) { c.SetWriteDeadline(time.Now().Add(-time.Second)) }, "answer", false},
		{"CloseWrite", func(c *Conn) { c.CloseWrite() }, "answer", true},
		{"Writev and CloseWrite", func(c *Conn) { c.Writev([]byte("!")); c.CloseWrite() }, "answer!", true},
		{"Linger", func(c *Conn) { c.CloseWrite(); c.Linger(time.Minute) }, "answer", true},
		{"Linger alone", func(c *Conn) { c.Linger(time.Minute) }, "answer", false},
		{"Close", func(c *Conn) { c.Close() }, "answer", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
				for _, inside := range []bool{false, true} {
					w := newCrowd(t, "tcp", 5, hook)
					w.holdForever(t)
					first, last := w.members[0], w.members[4]
					held, after := false, true
					first.each = func([]byte) {
						first.c.WriteBehind([]byte("ans"), []byte("wer"))
						held = first.c.isHeldBack()
					}
					last.each = func([]byte) {
						if inside {
							tt.call(first.c)
						} else {
							done := make(chan struct{})
							go func() { defer close(done); tt.call(first.c) }()
							<-done
						}
						after = first.c.isHeldBack()
					}
					w.all(t, func(int) string { return "x" })
					first.answers(t, tt.want)
					w.settle(t)
					if !held || after {
						t.Errorf("held back %v, after the call %v", held, after)
					}
					for _, m := range w.members[1:4] {
						m.answers(t, "x")
					}
					if !tt.ends {
						first.silent(t)
					} else if n, err := first.peer.Read(make([]byte, 1)); n > 0 || err != io.EOF {
						t.Errorf("%d bytes, %v instead of the end", n, err)
					}
				}
			})
		})
	}
}

// A connection may have several places in a batch. The loop locks its connections there.
func TestWritesBehindAndOthersByOneReceiver(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 6, hook)
		for _, m := range w.members {
			m.each = func([]byte) {
				m.c.WriteBehind([]byte("a"))
				m.c.Writev([]byte("b"))
				m.c.WriteBehind([]byte("c"))
				m.c.WriteBehind([]byte("d"))
				m.c.WriteBehind([]byte("e"))
				m.c.TryWrite([]byte("f"))
				m.c.WriteBehind()
				m.c.WriteBehind([]byte("g"), nil, []byte("h"))
			}
		}
		for range 3 {
			w.all(t, func(int) string { return "x" })
			for _, m := range w.members {
				m.answers(t, "abcdefgh")
			}
		}
	})
}

func TestWhatIsHeldBack(t *testing.T) {
	for _, tt := range []struct {
		name        string
		ready, size int
		prepare     func(c *Conn)
		want        int // bytes held back when all receivers were called
	}{
		{"of one connection", 1, 100, nil, 0},
		{"of two", 2, 100, nil, 200},
		{"nothing", 5, 0, nil, 0},
		{"as much as a connection may have", 3, maxHeld, nil, 3 * maxHeld},
		{"more", 3, maxHeld + 1, nil, 0},
		{"as much as the loop may have", maxEvents, maxHeld, nil, heldSize},
		{"behind a queue", 3, 100, func(c *Conn) { c.ensureOutputLocked().queue.Append([]byte("queued ")) }, 0},
		{"after an error", 3, 100, func(c *Conn) { c.failLocked(unix.EPIPE) }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newCrowd(t, "unix", tt.ready, nil)
			w.holdForever(t)
			held := 0
			for i, m := range w.members {
				m.each = func(view []byte) {
					m.c.WriteBehind(numbered(i, tt.size))
					if m.c.isHeldBack() {
						held += tt.size
						if tt.size == 0 {
							t.Error("a place is taken for nothing")
						}
					}
				}
			}
			w.together(t, func() {
				for _, m := range w.members {
					if tt.prepare != nil {
						m.c.mu.Lock()
						tt.prepare(m.c)
						m.c.mu.Unlock()
					}
					m.say(t, "x")
				}
			})
			for i, m := range w.members {
				if tt.prepare == nil {
					m.answers(t, string(numbered(i, tt.size)))
				}
			}
			w.settle(t)
			if held != tt.want {
				t.Errorf("%d bytes were held back, want %d", held, tt.want)
			}
		})
	}
}

// A Handler that doesn't return keeps back nothing for long.
func TestAnswersLeaveWhileALaterReceiverBlocks(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 9, hook)
		arrived := make(chan struct{})
		over := t.Context().Done()
		for i, m := range w.members {
			if i%3 == 2 { // after two that answer
				m.each = func([]byte) {
					select {
					case <-arrived:
					case <-over:
					}
				}
			}
		}
		w.all(t, func(i int) string { return fmt.Sprint("message ", i) })
		for i, m := range w.members {
			if i%3 == 2 {
				arrived <- struct{}{}
			} else {
				m.answers(t, fmt.Sprint("message ", i))
			}
		}
		waitUntil(t, "the watchdog sleeps", func() bool { return !w.members[0].c.loop.behind.watched.Load() })
	})
}

func TestAnswersOfSlowReceiversLeaveBeforeTheEndOfTheBatch(t *testing.T) {
	r := &plainRing{}
	w := doubled(t, 12, r)
	w.holdForever(t) // so that the watchdog isn't started
	w.together(t, func() { w.members[0].c.loop.behind.holdTime = 0 })
	w.all(t, func(int) string { return "x" })
	for _, m := range w.members {
		m.answers(t, "x")
	}
	w.settle(t)
	want := []string{"12 receives, 0 sends", "0 receives, 4 sends", "0 receives, 4 sends", "0 receives, 4 sends"}
	if got, _ := r.made(); !slices.Equal(got, want) {
		t.Errorf("the batches are %q, want %q", got, want)
	}
}

func TestAWriteDeadlinePassesWhileAnAnswerIsHeldBack(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 6, hook)
		w.holdForever(t)
		late := w.members[1]
		late.each = func([]byte) {
			late.c.WriteBehind([]byte("too late"))
			late.c.mu.Lock()
			late.c.writeDeadline = 1
			late.c.state.Or(limited)
			late.c.mu.Unlock()
		}
		w.all(t, func(int) string { return "x" })
		for i, m := range w.members {
			if i != 1 {
				m.answers(t, "x")
			}
		}
		wantEnd(t, late, "x", os.ErrDeadlineExceeded)
		var failed *transport.SendError
		if !errors.As(late.ended[0], &failed) {
			t.Errorf("the receiver got %v", late.ended[0])
		}
	})
}

// Messages that Handlers answer over TLS, and without it, take one system call for all receives and one
// for all sends.
func TestAnswersOfHandlersShareSystemCalls(t *testing.T) {
	for name, secured := range map[string]func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn){
		"plain":   func(_ testing.TB, client, server net.Conn) (net.Conn, net.Conn) { return client, server },
		"TLS 1.2": netpair.SecuredBy(stdtls.VersionTLS12),
		"TLS 1.3": netpair.SecuredBy(stdtls.VersionTLS13),
	} {
		t.Run(name, func(t *testing.T) {
			r := &plainRing{}
			w := doubled(t, 1, r)
			w.holdForever(t)
			notes := &notingFactory{Factory: w.loops}
			var peers []net.Conn
			for range 6 {
				a, b := netpair.Sockets(t, "tcp")
				client, server := secured(t, a, b)
				carrier, err := websock.Attach(notes, server, nil)
				if err != nil {
					t.Fatal(err)
				}
				c := websock.NewConn(carrier, websock.Server, websock.Options{})
				t.Cleanup(func() { c.Abort(nil) })
				if err := c.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
					c.SendFrame(op, true, msg)
					c.SendText([]byte("!"))
				}, nil)); err != nil {
					t.Fatal(err)
				}
				peers = append(peers, client)
			}
			w.settle(t)
			r.made()
			for range 3 {
				w.together(t, func() {
					for i, peer := range peers {
						io.WriteString(peer, "\x82\x81\x00\x00\x00\x00x")
						(&member{&sink{c: notes.conns[i]}, peer}).awaits(t, unix.POLLIN)
					}
				})
				for _, peer := range peers {
					got := make([]byte, 6)
					if _, err := io.ReadFull(peer, got); err != nil || string(got) != "\x82\x01x\x81\x01!" {
						t.Fatalf("the answer is %q, %v", got, err)
					}
				}
				w.settle(t)
				want := []string{"6 receives, 0 sends", "0 receives, 6 sends"}
				if got, _ := r.made(); !slices.Equal(got, want) {
					t.Errorf("the batches are %q, want %q", got, want)
				}
			}
		})
	}
}
