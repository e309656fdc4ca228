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
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// echoing returns a handler that hijacks its connection, moves it and echoes.
func echoing(finished chan<- error) http.HandlerFunc {
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
		return nil, fmt.Errorf("the connection below: %T, %v", under, ok)
	}
	moved, err := wstls.New(conn.(*tls.Conn), std.New(under, nil), early)
	if err != nil {
		return nil, err
	}
	return websock.NewConn(moved, websock.Server, websock.Options{}), nil
}

// upgrade returns a client's connection behind an opening handshake of HTTP.
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

func TestAHijackedConnectionIsMoved(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			clientConfig, serverConfig := wstls.Configs(version)
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			finished := make(chan error, 1)
			server := &http.Server{Handler: echoing(finished)}
			go server.Serve(wstls.NewListener(l, serverConfig))
			defer server.Close()
			secured := upgrade(t, l.Addr().String(), clientConfig)
			client := websock.NewConn(std.New(secured, nil), websock.Client, websock.Options{})
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
