package tls_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed004e8d11/websock"
	wstls "github.com/seed004e8d11/websock/transport/tls"
)

// pair returns two Conns over one connection whose ends were both moved.
func pair(t *testing.T, version uint16) (client, server *websock.Conn) {
	t.Helper()
	a, b := wstls.Connect(t, version)
	ca, _ := wstls.Move(t, a, nil)
	cb, _ := wstls.Move(t, b, nil)
	return websock.NewConn(ca, websock.Client, websock.Options{}), websock.NewConn(cb, websock.Server, websock.Options{})
}

// echo makes c send back what it gets.
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

func TestEchoOfEverySize(t *testing.T) {
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

func TestBothSidesPushedAndManySenders(t *testing.T) {
	const senders, messages = 8, 50
	client, server := pair(t, tls.VersionTLS13)
	serverClosed := echo(t, server)
	var echoed atomic.Int64
	all := make(chan struct{})
	clientClosed := make(chan error, 1)
	client.SetHandler(websock.Messages(func(_ *websock.Conn, _ websock.Opcode, msg []byte) {
		if strings.Trim(string(msg), string(msg[:1])) != "" {
			t.Error("torn message")
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

func TestEarlyBytesReachAHandler(t *testing.T) {
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

func TestAStreamThatIsCutOffIsAnAbnormalClosure(t *testing.T) {
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
