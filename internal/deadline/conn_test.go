package deadline

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/seed004e8d11/websock/internal/leak"
)

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

func pipe(t *testing.T) (near, far net.Conn) {
	near, far = net.Pipe()
	near = Wrap(deadlineless{near})
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}

func TestConnIsANetConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		a, b := net.Pipe()
		c1, c2 = Wrap(deadlineless{a}), Wrap(deadlineless{b})
		return c1, c2, func() { c1.Close(); c2.Close() }, nil
	})
}

func TestWrapOnlyWithoutDeadlines(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if Wrap(a) != a || Unwrap(a) != a {
		t.Error("a connection with deadlines is wrapped")
	}
	c := Wrap(deadlineless{a})
	if c == net.Conn(deadlineless{a}) || Wrap(c) != c || Unwrap(c) != net.Conn(deadlineless{a}) {
		t.Error("a connection without deadlines is not wrapped once")
	}
}

func TestWrapTriesAllDeadlines(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	for _, conn := range []net.Conn{removeOnly{a}, readOnly{a}} {
		if _, ok := Wrap(conn).(*Conn); !ok {
			t.Errorf("a %T is not wrapped", conn)
		}
	}
}

func TestReadDeadlineLosesNothing(t *testing.T) {
	near, far := pipe(t)
	var got []byte
	buf := make([]byte, 3)
	for _, piece := range []string{"a", "bcdefgh", "i"} {
		near.SetReadDeadline(time.Now().Add(time.Millisecond))
		if n, err := near.Read(buf); n != 0 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("%d, %v", n, err)
		}
		near.SetReadDeadline(time.Time{})
		go far.Write([]byte(piece))
		for n := 0; n < len(piece); {
			m, err := near.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			got, n = append(got, buf[:m]...), n+m
		}
	}
	if string(got) != "abcdefghi" {
		t.Errorf("%q", got)
	}
}

func TestReadAfterDeadlineReturnsWhatHasArrived(t *testing.T) {
	near, far := pipe(t)
	near.SetReadDeadline(time.Now())
	buf := make([]byte, 1)
	if _, err := near.Read(buf); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	far.Write([]byte("xy")) // returns when it was read
	for began := time.Now(); ; {
		n, err := near.Read(buf)
		if n == 1 && buf[0] == 'x' {
			break
		}
		if time.Since(began) > time.Minute {
			t.Fatal(n, err)
		}
	}
}

func TestWriteWaitsForEarlierWriteThatTimedOut(t *testing.T) {
	near, far := pipe(t)
	timedOut := make(chan error)
	go func() {
		for range 2 {
			_, err := near.Write([]byte("first"))
			timedOut <- err
		}
	}()
	if _, err := io.ReadFull(far, make([]byte, 1)); err != nil { // the first write has begun
		t.Fatal(err)
	}
	near.SetWriteDeadline(time.Now())
	for range 2 {
		if err := <-timedOut; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	near.SetWriteDeadline(time.Time{})
	go func() {
		near.Write([]byte("second"))
		near.Close()
	}()
	if got, _ := io.ReadAll(far); string(got) != "irstsecond" {
		t.Errorf("%q", got)
	}
}

func TestWriteAfterPassedDeadline(t *testing.T) {
	near, far := pipe(t)
	near.SetWriteDeadline(time.Now())
	if _, err := near.Write([]byte("x")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	near.SetWriteDeadline(time.Time{})
	large := bytes.Repeat([]byte("0123456789"), 20000)
	go near.Write(large)
	got := make([]byte, len(large))
	if _, err := io.ReadFull(far, got); err != nil || !bytes.Equal(got, large) {
		t.Error(err)
	}
}

func TestCloseEndsCallsThatBlock(t *testing.T) {
	release := make(chan struct{})
	c := Wrap(stuckConn{release: release})
	var calls sync.WaitGroup
	for range 2 {
		calls.Go(func() {
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
		calls.Go(func() {
			if _, err := c.Write(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Error(err)
			}
		})
	}
	time.Sleep(time.Millisecond)
	c.Close()
	calls.Wait()
	if c.Close() == nil || c.SetDeadline(time.Time{}) == nil {
		t.Error("it is still open")
	}
	close(release)
}

func TestCloseWriteTimesOut(t *testing.T) {
	release := make(chan struct{})
	c := Wrap(stuckCloseWriter{stuckConn{release: release}}).(*Conn)
	c.SetWriteDeadline(time.Now().Add(time.Millisecond))
	if err := c.CloseWrite(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	close(release)
	c.Close()
	near, _ := pipe(t)
	if err := near.(*Conn).CloseWrite(); err != nil {
		t.Error("a connection that can't:", err)
	}
}
