//go:build linux

package epoll

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/backlog"
	"github.com/seed004e8d11/websock/internal/netpair"
)

// conns returns how many connections each loop has; -1: it doesn't run.
func (g *loopGroup) conns() (conns []int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, l := range g.loops {
		n := -1
		if l != nil {
			n = l.conns
		}
		conns = append(conns, n)
	}
	return conns
}

func TestConnectionsAreSpreadOverTheLoops(t *testing.T) {
	for given, loops := range map[int]int{-1: 1, 0: 1, 1: 1, 3: 3, 8: 8} {
		m := Loops(given)
		for range 2 * loops {
			attachedTo(t, m, "unix")
		}
		conns := m.loops.conns()
		if len(conns) != loops {
			t.Errorf("Loops(%d) has %d loops", given, len(conns))
		}
		for _, n := range conns {
			if n != 2 {
				t.Errorf("Loops(%d): %v connections on the loops, want 2 on each", given, conns)
			}
		}
	}
}

func TestThereAreAsManySharedLoopsAsProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	m := Factory{&loopGroup{}}
	for range 6 {
		attachedTo(t, m, "unix")
	}
	if got := fmt.Sprint(m.loops.conns()); got != "[2 2 2]" {
		t.Errorf("connections on the loops: %s", got)
	}
	runtime.GOMAXPROCS(1) // loops that run continue
	for range 2 {
		attachedTo(t, m, "unix")
	}
	if got := fmt.Sprint(m.loops.conns()); got != "[4 2 2]" {
		t.Errorf("connections on the loops: %s", got)
	}
}

func TestLoopRunsAsLongAsItHasConnections(t *testing.T) {
	m := Loops(2)
	conns := func(want string) {
		t.Helper()
		waitUntil(t, want+" connections on the loops", func() bool { return fmt.Sprint(m.loops.conns()) == want })
	}
	served := func() *Conn {
		c, peer := attachedTo(t, m, "tcp")
		s := push(t, c)
		io.WriteString(peer, "Hello")
		waitUntil(t, "its bytes arrive", func() bool { return s.got() == "Hello" })
		return c
	}
	for range 3 { // loops start again
		second, first := served(), served()
		conns("[1 1]")
		first.Close()
		conns("[-1 1]")
		second.Close()
		conns("[-1 -1]")
	}
}

// The last connection of a loop may be closed while the next one is attached.
func TestLoopStopsAndStartsWhileConnectionsComeAndGo(t *testing.T) {
	m := Loops(1)
	t.Run("in parallel", func(t *testing.T) {
		for user := range 4 {
			t.Run(fmt.Sprint(user), func(t *testing.T) {
				t.Parallel()
				for range 50 {
					c, peer := attachedTo(t, m, "tcp")
					s := push(t, c)
					io.WriteString(peer, "Hello")
					peer.Close()
					if err := s.end(t); err != io.EOF || s.got() != "Hello" {
						t.Fatalf("%q arrived, then %v", s.got(), err)
					}
				}
			})
		}
	})
	waitUntil(t, "the loop stops", func() bool { return fmt.Sprint(m.loops.conns()) == "[-1]" })
}

func TestDescriptorsBeyondTheTableAreRefused(t *testing.T) {
	if err := checkFd(maxFd); err != nil {
		t.Error(err)
	}
	if err := checkFd(maxFd + 1); err == nil {
		t.Error("no error")
	}
}

func TestFDTableFindsAConnectionByItsDescriptor(t *testing.T) {
	table := new(fdTable)
	descriptors := []int{0, 1, len(fdPage{}) - 1, len(fdPage{}), 70000, maxFd}
	conns := map[int]*Conn{}
	for _, fd := range descriptors {
		if table.get(fd) != nil {
			t.Errorf("an empty table has a connection at %d", fd)
		}
		conns[fd] = &Conn{}
		table.set(fd, conns[fd])
	}
	for _, fd := range descriptors {
		if table.get(fd) != conns[fd] {
			t.Errorf("wrong connection at %d", fd)
		}
	}
	table.set(1, nil)
	if table.get(1) != nil || table.get(0) != conns[0] {
		t.Error("not emptied, or another was")
	}
}

func TestALargeBacklogDoesNotStarveOthersOnItsLoop(t *testing.T) {
	for kind, stream := range backlog.Streams() {
		t.Run(kind, func(t *testing.T) {
			loops := Loops(1)
			connect := func(early []byte, h websock.Handler) {
				client, _ := netpair.Sockets(t, "tcp")
				carrier, err := loops.Attach(client, early)
				if err != nil {
					t.Fatal(err)
				}
				c := websock.NewConn(carrier, websock.Client, websock.Options{Compression: websock.Compression{Level: 1}})
				if err := c.SetHandler(h); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { c.Abort(nil) })
			}
			neighbourIsHere := make(chan struct{})
			h := &backlog.Handler{Closed: make(chan error, 1)}
			h.OnFirst = func(*websock.Conn) { <-neighbourIsHere }
			connect(bytes.Clone(stream), h)
			type work struct{ bytes, calls int }
			served := make(chan work, 1)
			connect([]byte("\x82\x00"), websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
				served <- work{h.Bytes, h.Calls}
			}, nil))
			close(neighbourIsHere)
			select {
			case got := <-served:
				if got.bytes > backlog.TurnBytes || got.calls > backlog.TurnCalls {
					t.Errorf("the busy Handler got %d bytes in %d calls first", got.bytes, got.calls)
				}
			case <-time.After(time.Minute):
				t.Fatal("the neighbour was starved")
			}
		})
	}
}

// Connections are attached and closed on two loops, so that descriptors are reused at once.
func TestConnectionsThatReuseDescriptorsGetTheirOwnMessages(t *testing.T) {
	m := Loops(2)
	var workers sync.WaitGroup
	for w := range 8 {
		workers.Go(func() {
			for i := range 40 {
				exchangeAndClose(t, m, fmt.Sprint(w, "/", i))
			}
		})
	}
	workers.Wait()
	waitUntil(t, "the loops stop", func() bool { return fmt.Sprint(m.loops.conns()) == "[-1 -1]" })
}

// exchangeAndClose makes two connections, which exchange messages and end in one of many ways.
func exchangeAndClose(t *testing.T, m Factory, token string) {
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
	limits := websock.Limits{CloseTimeout: 30 * time.Millisecond}
	client := websock.NewConn(carrier, websock.Client, websock.Options{Limits: limits})
	server := websock.NewConn(other, websock.Server, websock.Options{Limits: limits})
	closed := make(chan struct{}, 2)
	onClose := func(*websock.Conn, error) { closed <- struct{}{} }
	server.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, onClose))
	handlers := 1
	received := make(chan string, 10)
	pulled := rand.IntN(2) == 0
	if !pulled {
		client.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) { received <- string(msg) }, onClose))
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
		case <-time.After(time.Minute):
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
		case <-time.After(time.Minute):
			t.Error("OnClose was not called")
		}
	}
	if pulled {
		client.Close()
	}
}
