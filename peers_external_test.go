package websock_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
)

var everyTransport = map[string]websock.Transport{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// newTalker runs a server that sends a message and closes, and returns its URL.
func newTalker(t *testing.T) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		conn.SendText([]byte("early"))
		conn.Close()
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// endless runs a server that sends a message and then receives at /talks, and doesn't read at /deaf. It
// returns the server's URL.
func endless(t *testing.T, secure bool) string {
	over := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(10 * time.Millisecond) // so that the message doesn't come with the response
		c.SendText([]byte("go"))
		if r.URL.Path == "/talks" {
			for err == nil {
				_, _, err = c.RecvMessage(nil)
			}
		} else {
			<-over
		}
		c.Abort(nil)
	}))
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// pulling is a Factory whose transports can't push.
type pulling struct{ websock.Transport }

func (p pulling) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	carried, err := websock.Attach(p.Transport, conn, early)
	return struct{ transport.Conn }{carried}, err
}

// openFiles returns the number of open descriptors of the process, or 0 if it is unknown.
func openFiles() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}
