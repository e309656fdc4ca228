package tls

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

func TestCloseNotifyFollowsEverythingWritten(t *testing.T) {
	ends := map[string]func(c *Conn) error{
		"Close":      (*Conn).Close,
		"CloseWrite": (*Conn).CloseWrite,
		"Linger":     func(c *Conn) error { return c.Linger(time.Minute) },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			eachVersion(t, func(t *testing.T, version uint16) {
				client, server := connect(t, version)
				c, m := move(t, client, nil)
				peer, _ := move(t, server, nil) // a tls.Conn would accept any end
				if err := c.Writev([]byte("all"), []byte(" of it")); err != nil {
					t.Fatal(err)
				}
				m.in.end(io.EOF) // else Linger would wait for the peer
				if err := end(c); err != nil {
					t.Error(err)
				}
				if got, _, err := readAll(peer); string(got) != "all of it" || err != io.EOF {
					t.Errorf("%q, %v", got, err)
				}
				if n, err := m.out.read(make([]byte, 1)); err != io.EOF {
					t.Errorf("after the close_notify: %d bytes, %v", n, err)
				}
			})
		})
	}
}

func TestCloseWriteKeepsReadingOpen(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	m.stall(true)
	c.Writev([]byte("queued"))
	for range 2 {
		if err := c.CloseWrite(); err != nil {
			t.Error(err)
		}
	}
	m.stall(false)
	if got, err := io.ReadAll(server); string(got) != "queued" || err != nil {
		t.Errorf("the peer got %q, %v", got, err)
	}
	io.WriteString(server, "the peer goes on")
	if view, err := c.View(); string(view) != "the peer goes on" {
		t.Errorf("%q, %v", view, err)
	}
}

func TestCloseWriteDuringWriteEndsBetweenRecords(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	peer, _ := move(t, server, nil)
	c.wire.out.beginBatch(100) // as Writev does
	c.tls.Write([]byte("written"))
	if err := c.CloseWrite(); err != nil {
		t.Error(err)
	}
	if _, err := c.tls.Write([]byte("too late")); err == nil {
		t.Error("a write after CloseWrite succeeded")
	}
	if err := c.wire.out.flush(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if got, _, err := readAll(peer); string(got) != "written" || err != io.EOF {
		t.Errorf("%q, %v", got, err)
	}
}

func TestCloseDoesNotWait(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	m.stall(true)
	c.Writev(plaintext(1 << 20))
	read := make(chan error, 1)
	go func() {
		_, err := c.View()
		read <- err
	}()
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the read in progress: %v", err)
	}
}

func TestCloseDuringWrite(t *testing.T) {
	for range 20 {
		client, _ := connect(t, tls.VersionTLS13)
		c, _ := move(t, client, nil)
		done := make(chan error, 1)
		go func() {
			for {
				if err := c.Writev(plaintext(1000), plaintext(100)); err != nil {
					done <- err
					return
				}
			}
		}()
		c.Close()
		if err := <-done; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	}
}

func TestLingerEndsRead(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	read := make(chan error, 1)
	go func() {
		_, err := c.View()
		read <- err
	}()
	lingered := make(chan error, 1)
	go func() { lingered <- c.Linger(time.Minute) }()
	if err := <-read; !errors.Is(err, net.ErrClosed) {
		t.Errorf("the read in progress: %v", err)
	}
	io.WriteString(server, "discarded")
	server.Close()
	if err := <-lingered; err != nil {
		t.Error(err)
	}
}

func TestClosingTheTLSConnDoesNotCutLinger(t *testing.T) {
	client, server := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	m.stall(true)
	c.Writev([]byte("queued"))
	lingered := make(chan error, 1)
	go func() { lingered <- c.Linger(time.Minute) }()
	for !c.wire.out.lingers() {
		time.Sleep(time.Millisecond)
	}
	client.Close() // as net/http does
	m.stall(false)
	if got, err := io.ReadAll(server); string(got) != "queued" || err != nil {
		t.Errorf("the peer got %q, %v", got, err)
	}
	server.Close()
	if err := <-lingered; err != nil {
		t.Error(err)
	}
}

func TestLingerTimesOut(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	c, _ := move(t, client, nil)
	if err := c.Linger(time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
}

func TestDeadlineOfCloseNotifyDoesNotReachInnerTransport(t *testing.T) {
	client, _ := connect(t, tls.VersionTLS13)
	c, m := move(t, client, nil)
	c.CloseWrite()
	if !m.writeDeadline.IsZero() {
		t.Error("the inner transport got a write deadline")
	}
}
