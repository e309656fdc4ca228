package tls

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

// pair returns two engine.Conns over one connection whose ends were both moved.
func pair(t *testing.T, version uint16) (client, server *engine.Conn) {
	t.Helper()
	a, b := connect(t, version)
	ca, _ := move(t, a, nil)
	cb, _ := move(t, b, nil)
	return engine.NewConn(ca, engine.Options{Role: engine.Client}), engine.NewConn(cb, engine.Options{Role: engine.Server})
}

// echo makes c send back what it gets.
func echo(t *testing.T, c *engine.Conn) (closed chan error) {
	t.Helper()
	closed = make(chan error, 1)
	err := c.SetHandler(engine.Messages(
		func(c *engine.Conn, op engine.Opcode, msg []byte) { c.SendFrame(op, true, msg) },
		func(_ *engine.Conn, err error) { closed <- err },
	))
	if err != nil {
		t.Fatal(err)
	}
	return closed
}

func TestEchoOfEverySize(t *testing.T) {
	eachVersion(t, func(t *testing.T, version uint16) {
		client, server := pair(t, version)
		closed := echo(t, server)
		for _, size := range []int{0, 1, 125, 126, 16 << 10, 65536, 1 << 20} {
			want := plaintext(size)
			if err := client.SendBinary(want); err != nil {
				t.Fatal(err)
			}
			if op, got, err := client.RecvMessage(nil); op != engine.OpBinary || !bytes.Equal(got, want) || err != nil {
				t.Fatalf("%d bytes: %v, %d bytes, %v", size, op, len(got), err)
			}
		}
		if err := client.CloseWith(4003, "done"); err != nil {
			t.Error(err)
		}
		var how *engine.CloseError
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
	client.SetHandler(engine.Messages(func(_ *engine.Conn, _ engine.Opcode, msg []byte) {
		if strings.Trim(string(msg), string(msg[:1])) != "" {
			t.Error("torn message")
		}
		if echoed.Add(1) == senders*messages {
			close(all)
		}
	}, func(_ *engine.Conn, err error) { clientClosed <- err }))
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
		var how *engine.CloseError
		if err := <-closed; !errors.As(err, &how) || how.Code != engine.CloseNormal {
			t.Error(err)
		}
	}
}

func TestEarlyBytesReachAHandler(t *testing.T) {
	a, b := connect(t, tls.VersionTLS13)
	b.Write([]byte("er\x81\x05third"))
	c, _ := move(t, a, []byte("\x81\x05early\x81\x05lat"))
	client := engine.NewConn(c, engine.Options{Role: engine.Client})
	messages := make(chan string, 3)
	client.SetHandler(engine.Messages(func(_ *engine.Conn, _ engine.Opcode, msg []byte) { messages <- string(msg) }, nil))
	for _, want := range []string{"early", "later", "third"} {
		if got := <-messages; got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestAStreamThatIsCutOffIsAnAbnormalClosure(t *testing.T) {
	a, b := connect(t, tls.VersionTLS13)
	c, m := move(t, a, nil)
	client := engine.NewConn(c, engine.Options{Role: engine.Client})
	closed := echo(t, client)
	b.Write([]byte("\x81\x0fthe first of two"[:10]))
	m.in.end(io.EOF)
	var how *engine.CloseError
	if err := <-closed; !errors.As(err, &how) || how.Code != engine.CloseAbnormal || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}
