package loadgen

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/internal/netpair"
)

// A pipeServer accepts WebSockets over pipes, for tests in a bubble of testing/synctest, where only these
// can be used.
type pipeServer struct {
	http  http.Server
	pipes netpair.Pipes
	began time.Time
	down  atomic.Bool // dials fail
}

// startServer starts a server of HTTP/1.1 and HTTP/2 that calls what serve returns for a path with every connection, and returns
// its URL. When the test ends, these calls end, too: what they use must not be part of what the next test measures.
func startServer(t *testing.T, serve func(path string) func(*websock.Conn)) (url string) {
	var serving sync.WaitGroup
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		serving.Add(1)
		defer serving.Done()
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		serve(r.URL.Path)(conn)
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	streams := new(websock.HTTP2Server)
	if err := streams.Configure(server.Config); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(func() {
		streams.Close()
		server.Close()
		serving.Wait()
	})
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// newPipeServer returns a server that calls serve with every connection, and closes it then.
func newPipeServer(t *testing.T, serve func(*websock.Conn)) *pipeServer {
	s := &pipeServer{pipes: netpair.NewPipes(), began: time.Now()}
	s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		serve(conn)
	})
	go s.http.Serve(s.pipes)
	return s
}

// target returns what is to be dialed.
func (s *pipeServer) target() fanout.Target {
	return fanout.Target{Config: websock.Config{Host: "pipe", Proxy: websock.NoProxy, NetDial: s.dial}}
}

func (s *pipeServer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if s.down.Load() {
		return nil, errors.New("the server is down")
	}
	return s.pipes.Dial(ctx, network, addr)
}

// serveEcho answers every message.
func serveEcho(conn *websock.Conn) { serveEchoAfter(func() {})(conn) }

// serveEchoAfter answers every message after wait. Like a server whose process is stopped for a while, it
// takes in messages meanwhile.
func serveEchoAfter(wait func()) func(*websock.Conn) {
	return func(conn *websock.Conn) {
		const room = 1 << 16
		messages := make(chan []byte, room)
		var answering sync.WaitGroup
		answering.Go(func() {
			for msg := range messages {
				wait()
				conn.SendBinary(msg)
			}
		})
		defer answering.Wait()
		defer close(messages)
		for {
			_, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			messages <- msg
		}
	}
}

// stall returns a function that, when it is called between two times after now, waits until the second.
func stall(from, to time.Duration) (wait func()) {
	begin := time.Now()
	return func() {
		if at := time.Since(begin); at >= from && at < to {
			time.Sleep(to - at)
		}
	}
}
