package tls_test

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
	"github.com/seed004e8d11/websock/transport/std"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

var factories = map[string]transport.Factory{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// againstKeyUpdates returns a client's transport over another, its peer, and what makes the
// records that this sends.
func againstKeyUpdates(t *testing.T, f transport.Factory) (c transport.Conn, peer net.Conn, next func(text string) []byte) {
	t.Helper()
	client, peer := netpair.Sockets(t, "unix") // with TCP, a peer whose buffer is full can hardly send
	clientConfig, serverConfig := wstls.Configs(tls.VersionTLS13)
	serverConfig.SessionTicketsDisabled = true // they would be counted
	log := wstls.KeyLog{}
	clientConfig.KeyLogWriter = log
	shaken := make(chan error, 1)
	go func() { shaken <- tls.Server(peer, serverConfig).Handshake() }()
	secured, err := wstls.Client(t.Context(), client, "example.com", clientConfig)
	if err := errors.Join(err, <-shaken); err != nil {
		t.Fatal(err)
	}
	next = wstls.KeyUpdates(t, secured.ConnectionState(), log)
	transport, err := websock.Attach(f, secured, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { transport.Close() })
	return transport, peer, next
}

// A peer that has its key updates answered and reads nothing must not have us keep the answers
// without bound. Each comes with an empty message, without which crypto/tls takes few in a row.
func TestAnswersThatNobodyReadsEndTheConnection(t *testing.T) {
	for name, f := range factories {
		for _, pushed := range []bool{false, true} {
			transport, peer, next := againstKeyUpdates(t, f)
			c := websock.NewConn(transport, websock.Client, websock.Options{})
			ended := make(chan error, 1)
			if pushed {
				c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, func(_ *websock.Conn, err error) { ended <- err }))
			} else {
				go func() {
					for {
						if _, _, err := c.RecvMessage(nil); err != nil {
							ended <- err
							return
						}
					}
				}()
			}
			go func() {
				for {
					var batch []byte
					for range 100 {
						batch = append(batch, next("\x81\x00")...)
					}
					if _, err := peer.Write(batch); err != nil {
						return
					}
				}
			}()
			select {
			case err := <-ended:
				var how *websock.CloseError
				if !errors.Is(err, wstls.ErrKeyUpdates) || !errors.As(err, &how) || how.Code != websock.CloseAbnormal {
					t.Errorf("%s, pushed %v: it ended with %v", name, pushed, err)
				}
				if err := c.SendText(nil); !errors.Is(err, wstls.ErrKeyUpdates) {
					t.Errorf("%s, pushed %v: a send returned %v", name, pushed, err)
				}
			case <-time.After(30 * time.Second):
				t.Errorf("%s, pushed %v: the connection lives on, with %d messages received", name, pushed, c.Stats().MessagesReceived)
			}
			c.Close()
			peer.Close()
		}
	}
}

// Reading answers the peer's key updates. It must not wait for a goroutine that writes to a peer
// that takes nothing.
func TestAWriteThatWaitsDoesNotHoldUpReading(t *testing.T) {
	for name, f := range factories {
		transport, peer, next := againstKeyUpdates(t, f)
		written := make(chan error, 1)
		go func() { written <- transport.Writev(make([]byte, 8<<20)) }()
		time.Sleep(100 * time.Millisecond) // the peer takes nothing
		if _, err := peer.Write(next("hello")); err != nil {
			t.Fatal(err)
		}
		read := make(chan string, 1)
		go func() {
			p := make([]byte, 10)
			n, err := transport.Read(p)
			if err != nil {
				t.Error(err)
			}
			read <- string(p[:n])
		}()
		select {
		case got := <-read:
			if got != "hello" {
				t.Errorf("%s: read %q", name, got)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("%s: the read waits for the write", name)
		}
		transport.Close()
		<-written
		peer.Close()
	}
}
