//go:build linux

package epoll

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/loopback"
	"github.com/seed004e8d11/websock/internal/netpair"
)

// listen returns a listener on the loopback interface, and its address.
func listen(t *testing.T, host string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Skip(err) // no IPv6 here
	}
	t.Cleanup(func() { l.Close() })
	return l, netip.MustParseAddrPort(l.Addr().String())
}

// dialTCP returns a connection by DialTCP, and its peer. Both are closed when the test ends.
func dialTCP(t *testing.T, f Factory) (conn, peer net.Conn) {
	t.Helper()
	l, addr := listen(t, "127.0.0.1")
	conn, err := f.DialTCP(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	if peer, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); peer.Close() })
	return conn, peer
}

// fullListener returns the address of a listener that accepts no more connections: the system discards
// requests for them.
func fullListener(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
	waiting, err := net.Dial("tcp", addr.String()) // the queue of a backlog of 0 has room for one
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { waiting.Close() })
	second, err := net.DialTimeout("tcp", addr.String(), 200*time.Millisecond) // unless the first is still on its way there
	if err == nil {
		t.Cleanup(func() { second.Close() })
	}
	return addr
}

func TestDialTCPConnects(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			l, addr := listen(t, host)
			f := Loops(1)
			conn, err := f.DialTCP(t.Context(), addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			peer, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			if got, want := conn.RemoteAddr().String(), peer.LocalAddr().String(); got != want {
				t.Errorf("remote address %s, want %s", got, want)
			}
			if got, want := conn.LocalAddr().String(), peer.RemoteAddr().String(); got != want {
				t.Errorf("local address %s, want %s", got, want)
			}
			go func() {
				io.CopyN(peer, peer, 5)
				peer.Write([]byte("bye"))
				peer.Close()
			}()
			if n, err := conn.Write([]byte("hello")); n != 5 || err != nil {
				t.Fatal(n, err)
			}
			if got, err := io.ReadAll(conn); string(got) != "hellobye" || err != nil {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestADialedConnectionIsAttachedWithItsDescriptor(t *testing.T) {
	f := Loops(1)
	conn, peer := dialTCP(t, f)
	fd := conn.(*dialed).fd
	attached, err := f.Attach(conn, []byte("early "))
	if err != nil {
		t.Fatal(err)
	}
	c := attached.(*Conn)
	defer c.Close()
	if int(c.fd) != fd {
		t.Errorf("descriptor %d, want %d", c.fd, fd)
	}
	if got, want := c.LocalAddr().String()+c.RemoteAddr().String(), peer.RemoteAddr().String()+peer.LocalAddr().String(); got != want {
		t.Errorf("addresses %s, want %s", got, want)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Close after Attach: %v", err)
	}
	if again, err := f.Attach(conn, nil); again != nil || !errors.Is(err, net.ErrClosed) {
		t.Errorf("another Attach: %v, %v", again, err)
	}
	s := push(t, c)
	peer.Write([]byte("late"))
	waitUntil(t, "both have arrived", func() bool { return s.got() == "early late" })
	if err := c.Writev([]byte("answer")); err != nil {
		t.Fatal(err)
	}
	readAll(t, peer, []byte("answer"))
}

func TestDialTCPReportsErrorsAsNetDialer(t *testing.T) {
	addr := netip.MustParseAddrPort(loopback.Addresses(t, 1)[0])
	_, err := Loops(1).DialTCP(t.Context(), addr)
	_, want := net.Dial("tcp", addr.String())
	var failed *net.OpError
	if !errors.As(err, &failed) || !errors.Is(err, syscall.ECONNREFUSED) || err.Error() != want.Error() {
		t.Errorf("%v, want %v", err, want)
	}
}

func TestErrorsOfADialedConnectionAreThoseOfPackageNet(t *testing.T) {
	for name, end := range map[string]func(conn, peer net.Conn){
		"a reset":    func(_, peer net.Conn) { peer.(*net.TCPConn).SetLinger(0); peer.Close() },
		"a deadline": func(conn, _ net.Conn) { conn.SetDeadline(expired) },
		"Close":      func(conn, _ net.Conn) { conn.Close() },
	} {
		for call, of := range map[string]func(net.Conn) error{
			"Read": func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
			"Write": func(c net.Conn) (err error) {
				for err == nil { // until the reset has come
					_, err = c.Write(make([]byte, 1))
				}
				return err
			},
		} {
			t.Run(name+", "+call, func(t *testing.T) {
				dialed, peer := dialTCP(t, Loops(1))
				reference, referencePeer := netpair.Sockets(t, "tcp")
				end(dialed, peer)
				end(reference, referencePeer)
				var got, want *net.OpError
				if !errors.As(of(dialed), &got) || !errors.As(of(reference), &want) {
					t.Fatalf("%v, want %v", got, want)
				}
				if got.Op != want.Op || got.Net != want.Net || got.Err.Error() != want.Err.Error() || got.Timeout() != want.Timeout() {
					t.Errorf("%v, want %v", got, want)
				}
				if got.Source.String() != dialed.LocalAddr().String() || got.Addr.String() != dialed.RemoteAddr().String() {
					t.Errorf("from %v to %v", got.Source, got.Addr)
				}
			})
		}
	}
}

func TestAWaitThatTheSystemRefusesIsAnError(t *testing.T) {
	w, err := newWaitPoint()
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	file, err := os.Open("/proc/self/exe") // epoll takes no regular files
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := w.until(int(file.Fd()), unix.EPOLLIN, func() error { return unix.EAGAIN }); !errors.Is(err, syscall.EPERM) {
		t.Error(err)
	}
}

func TestDialTCPEndsWithItsContext(t *testing.T) {
	addr := fullListener(t)
	f := Loops(1)
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := f.DialTCP(ended, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("before it: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := f.DialTCP(cancelled, addr); !errors.Is(err, context.Canceled) {
		t.Errorf("meanwhile: %v", err)
	}
	late, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := f.DialTCP(late, addr)
	var failed net.Error
	if !errors.As(err, &failed) || !failed.Timeout() {
		t.Errorf("after its deadline: %v", err)
	}
}

func TestCloseEndsCallsOfADialedConnection(t *testing.T) {
	for name, call := range map[string]func(net.Conn) error{
		"Read":  func(c net.Conn) error { _, err := c.Read(make([]byte, 1)); return err },
		"Write": func(c net.Conn) error { _, err := c.Write(make([]byte, 64<<20)); return err },
	} {
		t.Run(name, func(t *testing.T) {
			conn, _ := dialTCP(t, Loops(1))
			time.AfterFunc(20*time.Millisecond, func() { conn.Close() })
			if err := call(conn); !errors.Is(err, net.ErrClosed) {
				t.Errorf("meanwhile: %v", err)
			}
			if err := call(conn); !errors.Is(err, net.ErrClosed) {
				t.Errorf("afterwards: %v", err)
			}
			if err := conn.SetDeadline(time.Time{}); err != net.ErrClosed {
				t.Errorf("SetDeadline: %v", err)
			}
		})
	}
}

func TestDeadlinesEndCallsOfADialedConnection(t *testing.T) {
	conn, peer := dialTCP(t, Loops(1))
	buf := make([]byte, 1)
	conn.SetDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := conn.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	conn.SetDeadline(time.Time{})
	peer.Write([]byte("x"))
	if n, err := conn.Read(buf); n != 1 || err != nil {
		t.Errorf("after it was removed: %d, %v", n, err)
	}
}

func TestAWriteOfADialedConnectionWaitsForThePeer(t *testing.T) {
	conn, peer := dialTCP(t, Loops(1))
	sent := numbered(1, 16<<20)
	go func() {
		conn.Write(sent)
		conn.Close()
	}()
	readAll(t, peer, sent)
}

// What a dial needs, and keeps for others, is freed with the last connection.
func TestDialedConnectionsFreeTheirDescriptors(t *testing.T) {
	f := Loops(1)
	first, _ := dialTCP(t, f)
	w := first.(*dialed).wait
	second, _ := dialTCP(t, f)
	attached, err := f.Attach(second, nil)
	if err != nil {
		t.Fatal(err)
	}
	if first.Close(); len(f.loops.waitPoints) != 2 {
		t.Errorf("%d waitPoints are kept", len(f.loops.waitPoints))
	}
	third, _ := dialTCP(t, f)
	if third.(*dialed).wait != w {
		t.Error("the third connection doesn't use the waitPoint of the first")
	}
	third.Close()
	attached.Close()
	if len(f.loops.waitPoints) != 0 {
		t.Errorf("%d waitPoints are left", len(f.loops.waitPoints))
	}
	if err := w.file.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("a waitPoint wasn't closed: %v", err)
	}
}

func TestDialTCPFailsAtTheLimitOfOpenFiles(t *testing.T) {
	_, addr := listen(t, "127.0.0.1")
	f := Loops(1)
	running, _ := dialTCP(t, f)
	defer running.Close()
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	dial := func(more int) (net.Conn, error) { // with so many descriptors more
		next, err := os.Open(os.DevNull)
		if err != nil {
			t.Fatal(err)
		}
		lowest := int(next.Fd())
		next.Close()
		if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(lowest + more), Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
		defer unix.Setrlimit(unix.RLIMIT_NOFILE, &limit)
		return f.DialTCP(t.Context(), addr)
	}
	for more := range 2 { // none for the waitPoint; none for the socket
		waitUntil(t, "it fails", func() bool { // loops of other tests may close descriptors meanwhile
			conn, err := dial(more)
			if err == nil {
				conn.Close()
				return false
			}
			if conn != nil || !errors.Is(err, syscall.EMFILE) {
				t.Errorf("with %d more descriptors: %v, %v", more, conn, err)
			}
			return true
		})
	}
	if f.loops.loops[0].conns != 1 {
		t.Errorf("%d connections count", f.loops.loops[0].conns)
	}
}

// The only loop is in the Handler that dials.
func TestAHandlerMayDial(t *testing.T) {
	greets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		c.SendText([]byte("hello"))
		c.Recv(make([]byte, 1))
	}))
	defer greets.Close()
	cfg := websock.Config{Transport: Loops(1), Proxy: websock.NoProxy, Timeout: 20 * time.Second}
	inner := make(chan error, 1)
	outer := cfg
	outer.Handler = websock.Messages(func(c *websock.Conn, _ websock.Opcode, msg []byte) {
		second, err := websock.Dial(t.Context(), greets.URL, &cfg)
		if err == nil {
			second.Abort(nil)
		}
		inner <- err
		c.Abort(nil)
	}, nil)
	if _, err := websock.Dial(t.Context(), greets.URL, &outer); err != nil {
		t.Fatal(err)
	}
	if err := <-inner; err != nil {
		t.Error(err)
	}
}
