package websock

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// option returns an option of a connection's socket.
func option(t *testing.T, conn syscall.Conn, level, name int) (value int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { value, err = unix.GetsockoptInt(int(fd), level, name) })
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestTheSourcePortIsChosenAtConnect(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Log(err) // no IPv6 here
			continue
		}
		defer l.Close()
		calls := 0
		count := func() error { calls++; return nil }
		source := &net.TCPAddr{IP: net.ParseIP(host)}
		for name, test := range map[string]struct {
			dialer *net.Dialer
			late   int
			calls  int
		}{
			"no Dialer":        {nil, 0, 0},
			"no source":        {&net.Dialer{}, 0, 0},
			"a source":         {&net.Dialer{LocalAddr: source}, 1, 0},
			"a source's port":  {&net.Dialer{LocalAddr: &net.TCPAddr{IP: source.IP, Port: freePort(t, host)}}, 0, 0},
			"with Control":     {&net.Dialer{LocalAddr: source, Control: func(string, string, syscall.RawConn) error { return count() }}, 1, 1},
			"with both":        {&net.Dialer{LocalAddr: source, Control: func(string, string, syscall.RawConn) error { calls += 10; return nil }, ControlContext: func(context.Context, string, string, syscall.RawConn) error { return count() }}, 1, 1},
			"Control, no addr": {&net.Dialer{Control: func(string, string, syscall.RawConn) error { return count() }}, 0, 1},
		} {
			calls = 0
			cfg := &Config{Dialer: test.dialer}
			conn, err := cfg.netDial(t.Context(), "tcp", l.Addr().String())
			for errors.Is(err, syscall.EADDRINUSE) && name == "a source's port" { // another process has taken it
				test.dialer.LocalAddr = &net.TCPAddr{IP: source.IP, Port: freePort(t, host)}
				conn, err = cfg.netDial(t.Context(), "tcp", l.Addr().String())
			}
			if err != nil {
				t.Fatal(name, err)
			}
			if late := option(t, conn.(*net.TCPConn), unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT); late != test.late || calls != test.calls {
				t.Errorf("%s %s: late %d, want %d; %d calls of Control, want %d", host, name, late, test.late, calls, test.calls)
			}
			conn.Close()
		}
	}
}

func freePort(t *testing.T, host string) int {
	l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// localPortRange is the option IP_LOCAL_PORT_RANGE, which Linux has since 6.3.
const localPortRange = 51

// fewPorts leaves a socket few source ports to choose from.
func fewPorts(first, ports int) func(string, string, syscall.RawConn) error {
	return func(_, _ string, conn syscall.RawConn) (err error) {
		conn.Control(func(fd uintptr) {
			err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, localPortRange, (first+ports-1)<<16|first)
		})
		return err
	}
}

const portsOfASource = 16

// TestSeveralSourcesHaveMorePortsThanOne allows for ports that others have taken.
func TestSeveralSourcesHaveMorePortsThanOne(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int{}
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		seen[host]++
		mu.Unlock()
		echo(t, nil)(w, r)
	}))
	const tries = 10
	for range tries {
		first := 40000 + rand.IntN(10000)
		total := 0
		for _, source := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
			mu.Lock()
			clear(seen)
			mu.Unlock()
			opened := dialUntilNoPortIsLeft(t, url, source, first)
			mu.Lock()
			if seen[source] != opened {
				t.Errorf("from %s came %d connections of %d", source, seen[source], opened)
			}
			mu.Unlock()
			total += opened
		}
		if total > portsOfASource {
			return
		}
	}
	t.Errorf("no more than %d connections, however often it was tried", portsOfASource)
}

func dialUntilNoPortIsLeft(t *testing.T, url, source string, first int) (opened int) {
	cfg := &Config{Dialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(source)}, Control: fewPorts(first, portsOfASource)}}
	for {
		c, err := Dial(t.Context(), url, cfg)
		switch {
		case errors.Is(err, unix.ENOPROTOOPT):
			t.Skip("Linux before 6.3 can't bound the source ports of a socket")
		case errors.Is(err, unix.EADDRNOTAVAIL):
			return opened
		case err != nil:
			t.Fatal(source, err)
		}
		defer c.Abort(nil)
		if opened++; opened > portsOfASource {
			t.Fatalf("%s: more connections than the %d ports", source, portsOfASource)
		}
	}
}
