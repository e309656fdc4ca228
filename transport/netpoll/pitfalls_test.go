//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cloudwego/netpoll"
	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/engine"
)

func TestAddressesAreKnownAndAReadTimeoutDoesNotPanic(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		client, server := sockets(t, network)
		local, remote := client.LocalAddr().String(), client.RemoteAddr().String()
		tr := attached(t, client, nil)
		tr.SetReadDeadline(time.Now().Add(time.Millisecond))
		if _, err := tr.View(); err != os.ErrDeadlineExceeded {
			t.Errorf("%v", err)
		}
		if _, err := tr.Read(make([]byte, 1)); err != os.ErrDeadlineExceeded {
			t.Errorf("%v", err)
		}
		tr.Close()
		server.Close()
		if l, r := tr.LocalAddr().String(), tr.RemoteAddr().String(); l != local || r != remote {
			t.Errorf("%q and %q, want %q and %q", l, r, local, remote)
		}
	})
}

func TestAReadDeadlineSetLaterEndsAViewUnderWay(t *testing.T) {
	client, _ := sockets(t, "tcp")
	tr := attached(t, client, nil)
	tr.SetReadDeadline(time.Now().Add(time.Hour))
	viewed := make(chan error, 1)
	go func() {
		_, err := tr.View()
		viewed <- err
	}()
	time.Sleep(time.Millisecond)
	tr.SetReadDeadline(time.Now().Add(-time.Hour))
	if err := <-viewed; err != os.ErrDeadlineExceeded {
		t.Errorf("%v", err)
	}
}

func TestAHangUpBeforeTheCallbackIsSeen(t *testing.T) {
	eachNetwork(t, func(t *testing.T, network string) {
		for range 50 {
			for _, pushed := range []bool{false, true} {
				client, server := sockets(t, network)
				io.WriteString(server, "\x81\x04last")
				server.Close()
				c := engine.NewConn(attached(t, client, nil), engine.Options{Role: engine.Client})
				h := newCollector()
				if pushed {
					c.SetHandler(h.handler())
					if got := <-h.messages; got != "last" {
						t.Errorf("%q", got)
					}
					if err := <-h.closed; !errors.Is(err, io.ErrUnexpectedEOF) {
						t.Errorf("%v", err)
					}
					continue
				}
				if _, msg, err := c.RecvMessage(nil); string(msg) != "last" || err != nil {
					t.Errorf("%q, %v", msg, err)
				}
				if _, _, err := c.RecvMessage(nil); !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%v", err)
				}
			}
		}
	})
}

// runInline makes netpoll call from its pollers.
func runInline(t *testing.T) {
	run := func(runner func(context.Context, func())) {
		if err := netpoll.Configure(netpoll.Config{Runner: runner, LoadBalance: netpoll.RoundRobin}); err != nil {
			t.Fatal(err)
		}
	}
	run(func(_ context.Context, f func()) { f() })
	t.Cleanup(func() { run(func(_ context.Context, f func()) { go f() }) })
}

func TestClosingInACallbackOfThePollerDoesNotStopIt(t *testing.T) {
	runInline(t)
	closers := map[string]func(c *engine.Conn, tr *Conn){
		"the transport":  func(_ *engine.Conn, tr *Conn) { tr.Close() },
		"the connection": func(c *engine.Conn, _ *Conn) { c.Close() },
		"from elsewhere": func(_ *engine.Conn, tr *Conn) {
			var closing sync.WaitGroup
			closing.Go(func() { tr.Close() })
			closing.Wait()
		},
	}
	for what, closeIt := range closers {
		t.Run(what, func(t *testing.T) {
			for range 20 {
				client, server := sockets(t, "tcp")
				tr := attached(t, client, nil)
				c := engine.NewConn(tr, engine.Options{Role: engine.Client, Limits: engine.Limits{CloseTimeout: time.Millisecond}})
				closed := make(chan error, 1)
				c.SetHandler(engine.Messages(
					func(c *engine.Conn, _ engine.Opcode, _ []byte) { closeIt(c, tr) },
					func(_ *engine.Conn, err error) { closed <- err },
				))
				io.WriteString(server, "\x81\x01x")
				<-closed
				server.Close()
			}
			bystander, server := sockets(t, "tcp")
			tr := attached(t, bystander, nil)
			tr.SetReadDeadline(time.Now().Add(10 * time.Second))
			io.WriteString(server, "alive")
			if view, err := tr.View(); string(view) != "alive" || err != nil {
				t.Errorf("another connection gets %q, %v", view, err)
			}
		})
	}
}

func TestResumingWhileTheHandlerIsCalledDoesNotStopThePoller(t *testing.T) {
	runInline(t)
	client, server := sockets(t, "tcp")
	c := engine.NewConn(attached(t, client, nil), engine.Options{Role: engine.Client})
	messages := make(chan string)
	c.SetHandler(engine.Messages(func(c *engine.Conn, _ engine.Opcode, msg []byte) {
		c.Pause()
		resumed := make(chan struct{})
		go func() {
			c.Resume()
			close(resumed)
		}()
		<-resumed
		messages <- string(msg)
	}, nil))
	for _, want := range []string{"a", "b", "c"} {
		io.WriteString(server, "\x81\x01"+want)
		if got := <-messages; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestClosingWhileThePollerCallsDoesNotStopIt(t *testing.T) {
	runInline(t)
	for range 50 {
		client, server := sockets(t, "tcp")
		tr := attached(t, client, nil)
		var both sync.WaitGroup
		both.Go(func() {
			for range 20 {
				if _, err := server.Write([]byte("x")); err != nil {
					return
				}
			}
		})
		tr.View()
		tr.Close()
		both.Wait()
	}
	client, server := sockets(t, "tcp")
	tr := attached(t, client, nil)
	tr.SetReadDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(server, "alive")
	if view, err := tr.View(); string(view) != "alive" || err != nil {
		t.Errorf("%q, %v", view, err)
	}
}

func TestAViewStaysValidUntilItsLastByteIsConsumed(t *testing.T) {
	client, server := sockets(t, "tcp")
	tr := attached(t, client, nil)
	io.WriteString(server, "first")
	view, err := tr.View()
	if err != nil {
		t.Fatal(err)
	}
	tr.Consume(2)
	view = view[2:]
	for range 10 { // what comes meanwhile, and the end, leave it alone
		server.Write(make([]byte, 100<<10))
		time.Sleep(time.Millisecond)
	}
	server.Close()
	tr.Close()
	if again, err := tr.View(); string(view) != "rst" || string(again) != "rst" || err != nil {
		t.Errorf("%q, then %q, %v", view, again, err)
	}
	tr.Consume(3)
	if _, err := tr.View(); err != net.ErrClosed {
		t.Errorf("%v", err)
	}
}

func TestTheDescriptorIsClosedInTheEnd(t *testing.T) {
	ends := map[string]func(tr *Conn, server net.Conn){
		"by us": func(tr *Conn, _ net.Conn) { tr.Close() },
		"by the peer, then by us": func(tr *Conn, server net.Conn) {
			server.Close()
			tr.View()
			tr.Close()
		},
		"by both": func(tr *Conn, server net.Conn) {
			go server.Close()
			tr.Close()
		},
		"on hold": func(tr *Conn, server net.Conn) {
			tr.Pause()
			tr.Close()
		},
	}
	for who, end := range ends {
		t.Run(who, func(t *testing.T) {
			client, server := sockets(t, "tcp")
			tr := attached(t, client, nil)
			end(tr, server)
			for isOpen(tr.fd) { // until the poller is done with it
				time.Sleep(time.Millisecond)
			}
		})
	}
}

func isOpen(fd int) bool {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
	return err != unix.EBADF
}

// netpoll goes on to read with as much memory as the largest burst took. It must not be
// kept by connections that are idle again.
func TestABurstLeavesNoMemoryBehind(t *testing.T) {
	const conns, burst = 20, 2 << 20
	message := append(engine.AppendHeader(nil, engine.Header{Fin: true, Opcode: engine.OpBinary, Length: burst}), make([]byte, burst)...)
	var received sync.WaitGroup
	handler := engine.Messages(func(*engine.Conn, engine.Opcode, []byte) { received.Done() }, nil)
	var peers []net.Conn
	for range conns {
		client, server := sockets(t, "tcp")
		c := engine.NewConn(attached(t, client, nil), engine.Options{Role: engine.Client})
		c.SetHandler(handler)
		peers = append(peers, server)
	}
	ask := func(p []byte) {
		received.Add(conns)
		for _, peer := range peers {
			go peer.Write(p)
		}
		received.Wait()
	}
	ask([]byte("\x81\x05small"))
	before := inUse()
	ask(message)
	ask([]byte("\x81\x05small"))
	if after := inUse(); after > before+conns*100<<10 {
		t.Errorf("%d KiB a connection are left", (after-before)/conns>>10)
	}
}

// inUse returns the size of the heap, pools emptied.
func inUse() int {
	for range 3 {
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
