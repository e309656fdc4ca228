//go:build linux

package epoll

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/internal/race"
)

func TestFourReadyConnectionsShareSystemCalls(t *testing.T) {
	for _, tt := range []struct {
		ready int
		want  []string
	}{
		{1, nil},
		{3, nil},
		{4, []string{"4 receives, 0 sends", "0 receives, 4 sends"}},
		{7, []string{"7 receives, 0 sends", "0 receives, 7 sends"}},
		{maxEvents, []string{"32 receives, 0 sends", "0 receives, 32 sends"}},
		{maxEvents + 4, []string{"32 receives, 0 sends", "0 receives, 32 sends", "4 receives, 0 sends", "0 receives, 4 sends"}},
		{maxEvents + 3, []string{"32 receives, 0 sends", "0 receives, 32 sends"}},
	} {
		t.Run(fmt.Sprint(tt.ready), func(t *testing.T) {
			r := &plainRing{}
			w := doubled(t, tt.ready, r)
			w.holdForever(t)
			w.all(t, func(i int) string { return fmt.Sprint("message ", i) })
			for i, m := range w.members {
				m.answers(t, fmt.Sprint("message ", i))
			}
			w.settle(t)
			if got, closed := r.made(); !slices.Equal(got, tt.want) || closed {
				t.Errorf("the batches are %q, closed %v; want %q", got, closed, tt.want)
			}
		})
	}
}

func TestALoopThatEndsClosesItsRing(t *testing.T) {
	r := &plainRing{}
	w := doubled(t, 4, r)
	w.gate.Close()
	for _, m := range w.members {
		m.peer.Close()
	}
	waitUntil(t, "the ring is closed", func() bool { _, closed := r.made(); return closed })
}

func TestEachConnectionOfABatchGetsItsOwnBytes(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		for _, network := range []string{"tcp", "unix"} {
			w := newCrowd(t, network, 12, hook)
			random := rand.New(rand.NewPCG(1, 2))
			for round := range 30 {
				texts := make([]string, len(w.members))
				for i := range texts {
					size := []int{1, 100, slotSize - 1, slotSize, slotSize + 1, maxHeld + 1, 3 * slotSize}[random.IntN(7)]
					texts[i] = string(numbered(round*100+i, size))
				}
				w.all(t, func(i int) string { return texts[i] })
				for i, m := range w.members {
					m.answers(t, texts[i])
				}
			}
		}
	})
}

// Large messages are received by calls with more room, and small ones after that together again.
func TestOneOfManyReceivesLargeMessages(t *testing.T) {
	r := &plainRing{}
	w := doubled(t, 6, r)
	small := func(i int) string { return fmt.Sprint("small ", i) }
	for range 3 {
		large := string(numbered(1, 64<<10))
		w.hold(t)
		for i, m := range w.members {
			text := small(i)
			if i == 2 {
				text = large
			}
			go io.WriteString(m.peer, text) // it does not fit at once
			m.awaits(t, unix.POLLIN)
		}
		w.leave <- struct{}{}
		for i, m := range w.members {
			if i == 2 {
				m.answers(t, large)
			} else {
				m.answers(t, small(i))
			}
		}
		w.settle(t)
		w.all(t, small)
		w.all(t, small)
		for i, m := range w.members {
			m.answers(t, small(i)+small(i))
		}
		w.settle(t)
		r.made()
		w.all(t, small)
		for i, m := range w.members {
			m.answers(t, small(i))
		}
		w.settle(t)
		if got, _ := r.made(); len(got) == 0 || got[0] != "6 receives, 0 sends" {
			t.Errorf("after it the batches are %q", got)
		}
	}
}

func TestWhatTheRingIsShortOfIsReceivedWithoutIt(t *testing.T) {
	for _, errno := range []syscall.Errno{unix.ENOBUFS, unix.ENOMEM, unix.EINTR, unix.EAGAIN} {
		t.Run(unix.ErrnoName(errno), func(t *testing.T) {
			r := &plainRing{instead: func(q request) (int, syscall.Errno) {
				if !q.send && q.tag%2 == 0 {
					return 0, errno
				}
				return -1, 0
			}}
			w := doubled(t, 5, r)
			for range 3 {
				w.all(t, func(i int) string { return fmt.Sprint("message ", i) })
				for i, m := range w.members { // after EAGAIN, epoll reports it again
					m.answers(t, fmt.Sprint("message ", i))
				}
			}
			w.settle(t)
			for i, m := range w.members {
				if got, want := m.got(), strings.Repeat(fmt.Sprint("message ", i), 3); got != want {
					t.Errorf("%q was received, want %q", got, want)
				}
			}
		})
	}
}

func TestEndsAreReceivedInABatch(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 8, hook)
		w.together(t, func() {
			for i, m := range w.members {
				switch i % 4 {
				case 0:
					m.say(t, "text")
				case 1:
					m.end(t)
				case 2:
					m.say(t, "text")
					m.end(t)
				case 3:
					m.reset(t)
				}
			}
		})
		for i, m := range w.members {
			switch i % 4 {
			case 0:
				m.answers(t, "text")
				m.end(t)
				wantEnd(t, m, "text", io.EOF)
			case 1:
				wantEnd(t, m, "", io.EOF)
			case 2:
				wantEnd(t, m, "text", io.EOF)
			case 3:
				wantEnd(t, m, "", syscall.ECONNRESET)
			}
		}
	})
}

func wantEnd(t *testing.T, m *member, got string, want error) {
	t.Helper()
	if err := m.sink.end(t); !errors.Is(err, want) || m.got() != got {
		t.Errorf("%q, then %v; want %q, %v", m.got(), err, got, want)
	}
}

// A Submit with an error has nevertheless made all requests.
func TestALoopGoesOnWithoutARingThatFails(t *testing.T) {
	for name, failing := range map[string]int{"receiving": 1, "sending": 2, "later": 5} {
		t.Run(name, func(t *testing.T) {
			submits := 0
			r := &plainRing{}
			r.fail = func() error {
				if submits++; submits >= failing {
					return unix.ENXIO
				}
				return nil
			}
			w := doubled(t, 5, r)
			w.holdForever(t)
			for round := range 4 {
				w.all(t, func(i int) string { return fmt.Sprint("message ", round, i) })
				for i, m := range w.members {
					m.answers(t, fmt.Sprint("message ", round, i))
				}
			}
			if got, closed := r.made(); len(got) != failing || !closed {
				t.Errorf("%d batches were made, closed %v", len(got), closed)
			}
		})
	}
}

// The first connection of a batch acts on the others, for which bytes, or the end of the stream, or both
// were received already. The same is done by another goroutine, for which the first one waits.
func TestCallsBetweenAReceiveAndItsDelivery(t *testing.T) {
	type ending func(t *testing.T, m *member)
	says := func(t *testing.T, m *member) { m.say(t, "text") }
	ends := func(t *testing.T, m *member) { m.end(t) }
	resets := func(t *testing.T, m *member) { m.reset(t) }
	tests := []struct {
		name  string
		act   func(c *Conn)
		peer  ending
		after func(t *testing.T, m *member) // when the batch has been handled
		got   string
		want  error
	}{
		{"Pause", (*Conn).Pause, says, resumed, "text", nil},
		{"Pause at the end", (*Conn).Pause, ends, resumed, "", io.EOF},
		{"Pause at a reset", (*Conn).Pause, resets, resumed, "", syscall.ECONNRESET},
		{"Pause and Close", func(c *Conn) { c.Pause() }, says, func(_ *testing.T, m *member) { m.c.Close() }, "", net.ErrClosed},
		{"Pause and Resume", func(c *Conn) { c.Pause(); c.Resume() }, says, nothing, "text", nil},
		{"Pause and Resume at the end", func(c *Conn) { c.Pause(); c.Resume() }, ends, nothing, "", io.EOF},
		{"Resume", (*Conn).Resume, says, nothing, "text", nil},
		{"Close", func(c *Conn) { c.Close() }, says, nothing, "", net.ErrClosed},
		{"Close at the end", func(c *Conn) { c.Close() }, ends, nothing, "", net.ErrClosed},
		{"Close at a reset", func(c *Conn) { c.Close() }, resets, nothing, "", net.ErrClosed},
		{"CloseWrite", func(c *Conn) { c.CloseWrite() }, says, ends, "text", io.EOF},
		{"CloseWrite at the end", func(c *Conn) { c.CloseWrite() }, ends, nothing, "", io.EOF},
		{"Linger", func(c *Conn) { c.Linger(time.Hour) }, says, ends, "", net.ErrClosed},
		{"Linger at the end", func(c *Conn) { c.Linger(time.Hour) }, ends, nothing, "", net.ErrClosed},
		{"Linger at a reset", func(c *Conn) { c.Linger(time.Hour) }, resets, nothing, "", net.ErrClosed},
		{"a deadline", func(c *Conn) { c.SetReadDeadline(time.Now().Add(-time.Second)) }, says, nothing, "text", os.ErrDeadlineExceeded},
		{"a deadline at the end", func(c *Conn) { c.SetReadDeadline(time.Now().Add(-time.Second)) }, ends, nothing, "", io.EOF},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
				for _, inside := range []bool{false, true} {
					w := newCrowd(t, "tcp", 6, hook)
					first, others := w.members[0], w.members[1:]
					first.each = func([]byte) {
						for _, m := range others {
							if inside {
								tt.act(m.c)
							} else {
								var done sync.WaitGroup
								done.Go(func() { tt.act(m.c) })
								done.Wait()
							}
						}
					}
					for _, m := range others {
						m.each = nil
					}
					w.together(t, func() {
						first.say(t, "first")
						for _, m := range others {
							tt.peer(t, m)
						}
					})
					w.settle(t)
					for _, m := range others {
						if m.c.has(paused) && m.got() != "" {
							t.Errorf("%q came during a pause", m.got())
						}
						tt.after(t, m)
					}
					for _, m := range others {
						if tt.want == nil {
							waitUntil(t, "it is delivered", func() bool { return m.got() == tt.got })
							m.end(t)
						}
						wantEnd(t, m, tt.got, cmp.Or(tt.want, io.EOF))
					}
				}
			})
		})
	}
}

func nothing(*testing.T, *member) {}

func resumed(_ *testing.T, m *member) { m.c.Resume() }

func TestAReceiverThatEndsTheGoroutineEndsNoOtherOfTheBatch(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 9, hook)
		for i, m := range w.members {
			if i%3 == 1 {
				m.each = func(view []byte) {
					m.c.WriteBehind(view)
					runtime.Goexit()
				}
			}
		}
		w.all(t, func(i int) string { return fmt.Sprint("message ", i) })
		for i, m := range w.members {
			m.answers(t, fmt.Sprint("message ", i))
		}
		for round := range 3 { // the loop goes on, in other goroutines
			for i, m := range w.members {
				if i%3 != 1 {
					io.WriteString(m.peer, fmt.Sprint("more ", round))
					m.answers(t, fmt.Sprint("more ", round))
				}
			}
		}
		for i, m := range w.members {
			if i%3 == 1 {
				waitUntil(t, "the descriptor is closed", m.c.isFree)
			}
		}
	})
}

// A connection of a batch is closed by the one before it, and another gets its descriptor.
func TestADescriptorIsReusedWithinABatch(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 6, hook)
		first, old := w.members[0], w.members[1]
		next := make(chan *member, 1)
		first.each = func([]byte) {
			old.c.Close()
			old.peer.Close()
			c, peer := attachedTo(t, w.loops, "tcp")
			m := &member{&sink{c: c}, peer}
			m.each = func(view []byte) { c.WriteBehind(view) }
			c.Push(m)
			io.WriteString(peer, "for you")
			next <- m
		}
		w.all(t, func(int) string { return "not for you" })
		m := <-next
		m.answers(t, "for you")
		if m.got() != "for you" {
			t.Errorf("%q arrived", m.got())
		}
		wantEnd(t, old, "", net.ErrClosed)
		for _, m := range w.members[2:] {
			m.answers(t, "not for you")
		}
	})
}

// Peers check each byte of the answers, while connections pause, are closed, and write from other
// goroutines.
func TestBatchesUnderStress(t *testing.T) {
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		const conns, size = 24, 200_000
		loops := Factory{&loopGroup{size: 2, ring: hook}}
		var running sync.WaitGroup
		for i := range conns {
			c, peer := attachedTo(t, loops, []string{"tcp", "unix"}[i%2])
			random := rand.New(rand.NewPCG(uint64(i), 3))
			s := &sink{c: c}
			s.finish = func() { c.CloseWrite(); c.Linger(time.Minute) }
			s.each = func(view []byte) { // it writes all of it in order, in all ways
				for len(view) > 0 {
					n := 1 + random.IntN(len(view))
					switch random.IntN(6) {
					case 0:
						c.Writev(view[:n])
					case 1:
						c.TryWrite(view[:n])
					case 2:
						c.WriteBehind(view[:n/2], nil, view[n/2:n])
					case 3:
						c.WriteBehind(view[:n])
						go c.Writev()
					default:
						c.WriteBehind(view[:n])
					}
					view = view[n:]
				}
				switch random.IntN(40) {
				case 0:
					c.Pause()
					go c.Resume()
				case 1:
					go c.SetWriteDeadline(time.Now().Add(time.Hour))
				case 2:
					go c.Resume()
				}
			}
			if err := c.Push(s); err != nil {
				t.Fatal(err)
			}
			want := numbered(i, size)
			if i%6 == 5 { // this one is closed from elsewhere
				running.Go(func() {
					io.CopyN(io.Discard, peer, int64(rand.IntN(size/2)))
					c.Close()
				})
				go peer.Write(want)
				continue
			}
			running.Go(func() {
				for at := 0; at < size; {
					n := min(1+rand.IntN(3*slotSize), size-at)
					if rand.IntN(2) == 0 {
						n = min(1+rand.IntN(100), size-at)
					}
					if _, err := peer.Write(want[at : at+n]); err != nil {
						t.Error(err)
						return
					}
					at += n
				}
				peer.(interface{ CloseWrite() error }).CloseWrite()
			})
			running.Go(func() {
				peer.SetReadDeadline(time.Now().Add(60 * time.Second))
				got := make([]byte, size)
				if n, err := io.ReadFull(peer, got); err != nil || !bytes.Equal(got, want) {
					t.Errorf("connection %d: %d bytes of %d came, %v", i, n, size, err)
				}
			})
		}
		running.Wait()
	})
}

func TestBatchesAllocateNothing(t *testing.T) {
	if race.Enabled {
		t.Skip("the race detector allocates")
	}
	eachRing(t, func(t *testing.T, hook func() (batchRing, error)) {
		w := newCrowd(t, "tcp", 8, hook)
		for _, m := range w.members {
			m.received = make([]byte, 0, 1<<20)
		}
		if _, ok := w.members[0].c.loop.ring.(*plainRing); ok {
			t.Skip("the double allocates")
		}
		p, q := []byte("message"), make([]byte, 7)
		if allocs := testing.AllocsPerRun(200, func() {
			w.gate.Write(p)
			<-w.entered
			for _, m := range w.members {
				m.peer.Write(p)
			}
			w.leave <- struct{}{}
			for _, m := range w.members {
				io.ReadFull(m.peer, q)
			}
		}); allocs > 0 {
			t.Errorf("%v allocations for each batch of 8", allocs)
		}
	})
}
