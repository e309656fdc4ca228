package tls_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
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

// connectOverStd returns a connection over transport/std, whose writes block, and its peer.
func connectOverStd(t *testing.T) (*wstls.Conn, net.Conn) {
	t.Helper()
	a, b := netpair.Sockets(t, "tcp")
	client, server := netpair.SecuredBy(tls.VersionTLS13)(t, a, b)
	c, err := wstls.New(client.(*tls.Conn), std.New(a, nil), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c, server
}

// block starts a goroutine that writes until it blocks. Its error is sent to the channel.
func block(c *wstls.Conn) <-chan error {
	done := make(chan error, 1)
	writes := make(chan bool, 1000)
	go func() {
		p := make([]byte, 100_000)
		for {
			if err := c.Writev(p); err != nil {
				done <- err
				return
			}
			writes <- true
		}
	}()
	for {
		select {
		case <-writes:
		case <-time.After(50 * time.Millisecond):
			return done
		}
	}
}

func TestCloseAndLingerUnblockWrite(t *testing.T) {
	ends := map[string]func(c *wstls.Conn) error{
		"Close":  (*wstls.Conn).Close,
		"Linger": func(c *wstls.Conn) error { return c.Linger(10 * time.Millisecond) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			c, _ := connectOverStd(t)
			blocked := block(c)
			if err := end(c); err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
			if err := <-blocked; !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, net.ErrClosed) {
				t.Errorf("the write in progress: %v", err)
			}
		})
	}
}

func TestCloseSendsCloseNotifyOverBlockingTransport(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("std can't write without waiting here")
	}
	c, peer := connectOverStd(t)
	if err := c.Writev([]byte("all")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	secured := peer.(*tls.Conn)
	under, _ := wstls.NetConn(secured)
	strict, err := wstls.New(secured, std.New(under, nil), nil) // a tls.Conn would accept any end
	if err != nil {
		t.Fatal(err)
	}
	defer strict.Close()
	if view, err := strict.View(); string(view) != "all" || err != nil {
		t.Fatalf("%q, %v", view, err)
	}
	strict.Consume(len("all"))
	if _, err := strict.View(); err != io.EOF {
		t.Error(err)
	}
}

func TestDrainWithoutQueueReturnsAtOnce(t *testing.T) {
	c, _ := connectOverStd(t)
	if err := c.Drain(context.Background(), 0); err != nil || c.Queued() != 0 || c.Queues() {
		t.Error(err, c.Queued(), c.Queues())
	}
}

var factories = map[string]transport.Factory{
	"std":     std.Transport(),
	"epoll":   epoll.Transport(),
	"netpoll": netpoll.Transport(),
}

// connectKeyUpdatePeer returns a client's transport, its peer, and a function that makes records for
// the peer to send: see wstls.KeyUpdates.
func connectKeyUpdatePeer(t *testing.T, f transport.Factory) (c transport.Conn, peer net.Conn, next func(text string) []byte) {
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

// A peer that requests key updates and reads nothing must not make us store replies without bound.
// Each request comes with an empty message, because crypto/tls accepts only a few in a row without
// data.
func TestUnreadKeyUpdateRepliesEndConnection(t *testing.T) {
	for name, f := range factories {
		for _, pushed := range []bool{false, true} {
			transport, peer, next := connectKeyUpdatePeer(t, f)
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
			case <-time.After(2 * time.Minute):
				t.Errorf("%s, pushed %v: the connection is still open, after %d messages", name, pushed, c.Stats().MessagesReceived)
			}
			c.Close()
			peer.Close()
		}
	}
}

// A send deadline that passes while nothing is sent isn't that of replies to key updates, but of the next
// send.
func TestAPassedSendDeadlineIsThatOfSendsOnly(t *testing.T) {
	for name, f := range factories {
		transport, peer, next := connectKeyUpdatePeer(t, f)
		c := websock.NewConn(transport, websock.Client, websock.Options{})
		go io.Copy(io.Discard, peer)
		past := time.Now().Add(-time.Second)
		c.SetSendDeadline(past)
		for range 3 {
			if _, err := peer.Write(next("\x81\x05hello")); err != nil {
				t.Fatal(err)
			}
			if _, msg, err := c.RecvMessage(nil); string(msg) != "hello" || err != nil {
				t.Errorf("%s: %q, %v", name, msg, err)
			}
			c.SetSendDeadline(time.Time{})
			if err := c.SendText([]byte("in time")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := c.Drain(0); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			c.SetSendDeadline(past)
		}
		peer.Write(next("\x81\x05hello"))
		if _, _, err := c.RecvMessage(nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := c.SendText([]byte("late")); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: a late send returned %v", name, err)
		}
		c.Abort(nil)
		peer.Close()
	}
}

// A read replies to the peer's key updates. It must not wait for another goroutine that writes to a
// peer that reads nothing.
func TestBlockedWriteDoesNotBlockRead(t *testing.T) {
	for name, f := range factories {
		transport, peer, next := connectKeyUpdatePeer(t, f)
		written := make(chan error, 1)
		go func() { written <- transport.Writev(make([]byte, 8<<20)) }()
		time.Sleep(100 * time.Millisecond) // until the write blocks
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
		case <-time.After(time.Minute):
			t.Errorf("%s: the read waits for the write", name)
		}
		transport.Close()
		<-written
		peer.Close()
	}
}
