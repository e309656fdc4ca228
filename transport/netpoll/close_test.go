//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/internal/netpair"
)

func TestCloseWriteEndsTheStreamAfterTheQueue(t *testing.T) {
	for _, queued := range []bool{false, true} {
		client, server := netpair.Sockets(t, "tcp")
		tr := attached(t, client, nil)
		size := 5
		if queued {
			size = plenty
		}
		tr.Writev(make([]byte, size))
		if err := tr.CloseWrite(); err != nil {
			t.Error(err)
		}
		if err := tr.Writev([]byte("x")); err == nil {
			t.Error("sending still works")
		}
		if n, err := io.Copy(io.Discard, server); n != int64(size) || err != nil {
			t.Errorf("the peer got %d of %d bytes, %v", n, size, err)
		}
		server.Write([]byte("back"))
		if view, err := tr.View(); string(view) != "back" || err != nil {
			t.Errorf("%q, %v", view, err)
		}
	}
}

func TestLingerWaitsForTheQueueAndThePeer(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		client, server := netpair.Sockets(t, "tcp")
		tr := attached(t, client, nil)
		if pushed {
			tr.Push(idle{})
		}
		tr.Writev(make([]byte, plenty))
		lingered := make(chan error, 1)
		go func() { lingered <- tr.Linger(20 * time.Second) }()
		if pushed {
			<-lingered
		}
		server.(*net.TCPConn).CloseWrite()
		time.Sleep(5 * time.Millisecond)
		if n, err := io.Copy(io.Discard, server); n != plenty || err != nil {
			t.Errorf("pushed %v: the peer got %d bytes, %v", pushed, n, err)
		}
		if !pushed {
			if err := <-lingered; err != nil {
				t.Error(err)
			}
		}
	}
}

func TestLingerEndsWhenItsTimeIsOver(t *testing.T) {
	for _, pushed := range []bool{false, true} {
		client, server := netpair.Sockets(t, "tcp")
		tr := attached(t, client, nil)
		if pushed {
			tr.Push(idle{})
		}
		err := tr.Linger(10 * time.Millisecond)
		if !pushed && err != os.ErrDeadlineExceeded {
			t.Errorf("%v", err)
		}
		if _, err := server.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("pushed %v: the peer got %v", pushed, err)
		}
	}
}

func TestLingerEndsAViewUnderWay(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	tr := attached(t, client, nil)
	viewed := make(chan error, 1)
	go func() {
		_, err := tr.View()
		viewed <- err
	}()
	time.Sleep(5 * time.Millisecond)
	go tr.Linger(20 * time.Second)
	if err := <-viewed; err != net.ErrClosed {
		t.Errorf("%v", err)
	}
	server.Close()
}

func TestSendersGetAnErrorAfterClose(t *testing.T) {
	for _, size := range []int{10, 1 << 20} {
		for range 20 {
			client, server := netpair.Sockets(t, "tcp")
			tr := attached(t, client, nil)
			var senders sync.WaitGroup
			senders.Go(func() {
				for tr.Writev(make([]byte, size), make([]byte, size)) == nil {
				}
			})
			senders.Go(func() { io.CopyN(io.Discard, server, 3<<20) })
			tr.Close()
			server.Close()
			senders.Wait()
			if err := tr.Writev([]byte("x")); err != net.ErrClosed && !errors.Is(err, errWriteClosed) {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestDescriptorIsClosedHoweverTheConnectionEnds(t *testing.T) {
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
		"during a pause": func(tr *Conn, server net.Conn) {
			tr.Pause()
			tr.Close()
		},
	}
	for who, end := range ends {
		t.Run(who, func(t *testing.T) {
			client, server := netpair.Sockets(t, "tcp")
			tr := attached(t, client, nil)
			end(tr, server)
			waitUntil(t, "the descriptor is closed", func() bool { return !isOpen(tr.fd) })
		})
	}
}
