package faults

import (
	"io"
	"net"
	"testing"
	"time"
)

// connect returns the two ends of a connection through a Proxy.
func connect(t *testing.T) (p *Proxy, client, server *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if p, err = Listen(l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	near, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close() })
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { far.Close() })
	return p, near.(*net.TCPConn), far.(*net.TCPConn)
}

func TestForwardsBytes(t *testing.T) {
	for _, f := range []Fault{{}, {Piece: 1}, {Piece: 3, Delay: time.Millisecond}} {
		p, client, server := connect(t)
		p.Begin(f)
		for _, way := range [][2]*net.TCPConn{{client, server}, {server, client}} {
			go func() {
				io.WriteString(way[0], "Hello, World")
				way[0].CloseWrite()
			}()
			if got, err := io.ReadAll(way[1]); string(got) != "Hello, World" || err != nil {
				t.Errorf("%+v: %q, %v", f, got, err)
			}
		}
	}
}

func TestForwardsInPieces(t *testing.T) {
	const delay = 20 * time.Millisecond
	p, client, server := connect(t)
	p.Begin(Fault{Piece: 2, Delay: delay})
	began := time.Now()
	io.WriteString(server, "abcd")
	buf := make([]byte, 4)
	if _, err := io.ReadFull(client, buf); string(buf) != "abcd" || err != nil {
		t.Errorf("%q, %v", buf, err)
	}
	if took := time.Since(began); took < 2*delay {
		t.Errorf("two pieces took %v, with a delay of %v each", took, delay)
	}
}

func TestActionFollowsTheGivenBytes(t *testing.T) {
	for _, then := range []Action{Truncate, HalfClose, Reset} {
		p, client, server := connect(t)
		p.Begin(Fault{After: 5, Piece: 2, Then: then})
		if then == Reset {
			p.Begin(Fault{Then: then}) // it may overtake bytes
		}
		io.WriteString(server, "Hello, World")
		got, err := io.ReadAll(client)
		if then == Reset {
			if err == nil {
				t.Error("a reset was read as the end of the stream")
			}
			continue
		}
		if string(got) != "Hello" || err != nil {
			t.Errorf("%v: %q, %v", then, got, err)
		}
		io.WriteString(client, "answer")
		client.CloseWrite()
		if got, _ := io.ReadAll(server); (string(got) == "answer") != (then == HalfClose) {
			t.Errorf("%v: the server received %q", then, got)
		}
	}
}

// connectStalled is connect, and begins a stall.
func connectStalled(t *testing.T) (p *Proxy, client, server *net.TCPConn) {
	t.Helper()
	p, client, server = connect(t)
	p.Begin(Fault{After: 2, Then: Stall})
	io.WriteString(server, "abc")
	if _, err := io.ReadFull(client, make([]byte, 2)); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	stalled := p.links[0].stalled
	p.mu.Unlock()
	<-stalled
	return p, client, server
}

func TestCloseEndsAStall(t *testing.T) {
	p, client, server := connectStalled(t)
	io.WriteString(client, "answer")
	for _, conn := range []net.Conn{client, server} {
		conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%d bytes were forwarded, %v", n, err)
		}
		conn.SetReadDeadline(time.Time{})
	}
	client.CloseWrite()
	go p.Close()
	if got, err := io.ReadAll(server); string(got) != "answer" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// A client may wait for the server's end before it ends its own direction.
func TestCloseForwardsTheServersEndAfterAStall(t *testing.T) {
	p, client, server := connectStalled(t)
	server.Close()
	go p.Close()
	client.SetReadDeadline(time.Now().Add(30 * time.Second)) // half of what Close would wait for the client
	if got, err := io.ReadAll(client); len(got) > 0 || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	client.Close()
}
