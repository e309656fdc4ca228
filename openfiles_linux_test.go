package websock

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/transport/epoll"
	"github.com/seed004e8d11/websock/transport/netpoll"
)

// limitOpenFiles lets this process open n more files, until the function is called that it
// returns.
func limitOpenFiles(t *testing.T, n int) (lift func()) {
	t.Helper()
	next, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	open := int(next.Fd())
	next.Close()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	lower := unix.Rlimit{Cur: uint64(open + n), Max: before.Max}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &lower); err != nil {
		t.Fatal(err)
	}
	return func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
}

// These transports move a connection to a second descriptor, which must not be missed only
// when the server has the connection already.
func TestDialFailsBeforeItConnectsAtTheLimitOfOpenFiles(t *testing.T) {
	url := server(t, echo(t, nil))
	for name, transport := range map[string]Transport{"epoll": epoll.Transport(), "netpoll": netpoll.Transport()} {
		t.Run(name, func(t *testing.T) {
			dial := func(netDial func(ctx context.Context, network, addr string) (net.Conn, error)) (*Conn, error) {
				return Dial(t.Context(), url, &Config{Transport: transport, NetDial: netDial})
			}
			c, err := dial(nil) // so that the loops run
			if err != nil {
				t.Fatal(err)
			}
			defer roundTrip(t, c)

			waitUntil(func() bool { // other goroutines may close files of earlier connections
				lift := limitOpenFiles(t, 0)
				defer lift()
				_, err = dial(func(context.Context, string, string) (net.Conn, error) { return nil, os.ErrInvalid })
				return !errors.Is(err, os.ErrInvalid)
			})
			var failed *HandshakeError
			if !errors.As(err, &failed) || !errors.Is(err, syscall.EMFILE) || !strings.Contains(failed.Reason, "limit of open files") {
				t.Errorf("%v", err)
			}
			if c, err := dial(nil); err != nil {
				t.Error(err)
			} else {
				roundTrip(t, c)
			}
		})
	}
}

func TestAcceptFailsAtTheLimitOfOpenFiles(t *testing.T) {
	accepted := make(chan error, 1)
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lift := limitOpenFiles(t, 0)
		c, err := Accept(w, r, &AcceptOptions{Transport: epoll.Loops(1)})
		lift()
		if err == nil {
			c.Abort(nil)
		}
		accepted <- err
	}))
	var answer, err error
	waitUntil(func() bool { // other goroutines may close files of earlier connections
		var c *Conn
		if c, answer = Dial(t.Context(), url, nil); answer == nil {
			c.Abort(nil)
		}
		err = <-accepted
		return err != nil
	})
	var refused *HandshakeError
	if !errors.As(answer, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Errorf("the client: %v", answer)
	}
	if !errors.Is(err, syscall.EMFILE) {
		t.Errorf("Accept: %v", err)
	}
}

func TestUnusedReservationsAreReleased(t *testing.T) {
	url := server(t, http.NotFoundHandler())
	files := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	for name, transport := range map[string]Transport{"epoll": epoll.Loops(1), "netpoll": netpoll.Transport()} {
		dial := func() {
			if _, err := Dial(t.Context(), url, &Config{Transport: transport}); err == nil {
				t.Error("no error")
			}
		}
		dial()
		before := files()
		for range 20 {
			dial()
		}
		for end := time.Now().Add(time.Minute); files() > before; time.Sleep(time.Millisecond) { // the server closes its own later
			if time.Now().After(end) {
				t.Fatalf("%s: %d files are open, %d were before", name, files(), before)
			}
		}
	}
}
