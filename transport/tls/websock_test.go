package tls_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// pair returns both ends of a connection, each moved to a fakeTransport.
func pair(t *testing.T, version uint16) (client, server *websock.Conn) {
	t.Helper()
	a, b := wstls.Connect(t, version)
	ca, _ := wstls.Move(t, a, nil)
	cb, _ := wstls.Move(t, b, nil)
	patient := websock.Options{Limits: websock.Limits{CloseTimeout: time.Minute}}
	return websock.NewConn(ca, websock.Client, patient), websock.NewConn(cb, websock.Server, patient)
}

// echo sets a Handler that sends every message back.
func echo(t *testing.T, c *websock.Conn) (closed chan error) {
	t.Helper()
	closed = make(chan error, 1)
	err := c.SetHandler(websock.Messages(
		func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) },
		func(_ *websock.Conn, err error) { closed <- err },
	))
	if err != nil {
		t.Fatal(err)
	}
	return closed
}

func TestEchoMessageSizes(t *testing.T) {
	wstls.EachVersion(t, func(t *testing.T, version uint16) {
		client, server := pair(t, version)
		closed := echo(t, server)
		for _, size := range []int{0, 1, 125, 126, 16 << 10, 65536, 1 << 20} {
			want := wstls.Plaintext(size)
			if err := client.SendBinary(want); err != nil {
				t.Fatal(err)
			}
			if op, got, err := client.RecvMessage(nil); op != websock.OpBinary || !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%d bytes: %v, %d bytes, %v", size, op, len(got), err)
			}
		}
		if err := client.CloseWith(4003, "done"); err != nil {
			t.Error(err)
		}
		var how *websock.CloseError
		if err := <-closed; !errors.As(err, &how) || how.Code != 4003 || how.Reason != "done" {
			t.Errorf("server: %v", err)
		}
	})
}

func TestConcurrentSendersWithHandlersOnBothSides(t *testing.T) {
	const senders, messages = 8, 50
	client, server := pair(t, tls.VersionTLS13)
	serverClosed := echo(t, server)
	var echoed atomic.Int64
	all := make(chan struct{})
	clientClosed := make(chan error, 1)
	client.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) {
		if strings.Trim(string(msg), string(msg[:1])) != "" {
			t.Error("a message of different bytes")
		}
		if echoed.Add(1) == senders*messages {
			close(all)
		}
	}, func(_ *websock.Conn, err error) { clientClosed <- err }))
	var running sync.WaitGroup
	for g := range senders {
		running.Go(func() {
			for i := range messages {
				size := []int{1, 130, 5000, 70000}[(g+i)%4]
				if err := client.SendText(bytes.Repeat([]byte{'a' + byte(g)}, size)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
	<-all
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	for _, closed := range []chan error{clientClosed, serverClosed} {
		var how *websock.CloseError
		if err := <-closed; !errors.As(err, &how) || how.Code != websock.CloseNormal {
			t.Error(err)
		}
	}
}

func TestHandlerReceivesEarlyBytes(t *testing.T) {
	a, b := wstls.Connect(t, tls.VersionTLS13)
	b.Write([]byte("er\x81\x05third"))
	c, _ := wstls.Move(t, a, []byte("\x81\x05early\x81\x05lat"))
	client := websock.NewConn(c, websock.Client, websock.Options{})
	messages := make(chan string, 3)
	client.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) { messages <- string(msg) }, nil))
	for _, want := range []string{"early", "later", "third"} {
		if got := <-messages; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestTruncatedStreamIsAbnormalClosure(t *testing.T) {
	a, b := wstls.Connect(t, tls.VersionTLS13)
	c, m := wstls.Move(t, a, nil)
	client := websock.NewConn(c, websock.Client, websock.Options{})
	closed := echo(t, client)
	b.Write([]byte("\x81\x0fthe first of two"[:10]))
	m.EndInput(io.EOF)
	var how *websock.CloseError
	if err := <-closed; !errors.As(err, &how) || how.Code != websock.CloseAbnormal || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// hijackAndEcho returns a handler that hijacks its connection, moves it and sends messages back.
func hijackAndEcho(finished chan<- error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := hijack(w)
		if err == nil {
			err = c.SetHandler(websock.Messages(
				func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) },
				func(_ *websock.Conn, err error) { finished <- err },
			))
		}
		if err != nil {
			finished <- err
		}
	}
}

func hijack(w http.ResponseWriter) (*websock.Conn, error) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	under, ok := wstls.NetConn(conn.(*tls.Conn))
	if _, tcp := under.(*net.TCPConn); !ok || !tcp {
		return nil, fmt.Errorf("NetConn returned a %T, %v", under, ok)
	}
	moved, err := wstls.New(conn.(*tls.Conn), std.New(under, nil), early)
	if err != nil {
		return nil, err
	}
	return websock.NewConn(moved, websock.Server, websock.Options{}), nil
}

// upgrade returns a client's connection after the opening handshake.
func upgrade(t *testing.T, addr string, config *tls.Config) *tls.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	secured, err := wstls.Client(t.Context(), conn, "example.com", config)
	if err != nil {
		t.Fatal(err)
	}
	if got := secured.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
		t.Errorf("protocol %q", got)
	}
	io.WriteString(secured, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	if resp, err := http.ReadResponse(bufio.NewReader(secured), nil); err != nil || resp.StatusCode != 101 {
		t.Fatal(resp, err)
	}
	return secured
}

func TestMoveHijackedConnection(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			clientConfig, serverConfig := wstls.Configs(version)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			finished := make(chan error, 1)
			server := &http.Server{Handler: hijackAndEcho(finished)}
			go server.Serve(wstls.NewListener(l, serverConfig))
			defer server.Close()
			secured := upgrade(t, l.Addr().String(), clientConfig)
			client := websock.NewConn(std.New(secured, nil), websock.Client, websock.Options{Limits: websock.Limits{CloseTimeout: time.Minute}})
			for _, size := range []int{1, 1000, 100_000} {
				want := bytes.Repeat([]byte("h"), size)
				if err := client.SendBinary(want); err != nil {
					t.Fatal(err)
				}
				if _, got, err := client.RecvMessage(nil); !bytes.Equal(got, want) || err != nil {
					t.Errorf("%d bytes of %d, %v", len(got), size, err)
				}
			}
			if err := client.Close(); err != nil {
				t.Error(err)
			}
			var closed *websock.CloseError
			if err := <-finished; !errors.As(err, &closed) || closed.Code != websock.CloseNormal {
				t.Error(err)
			}
		})
	}
}
