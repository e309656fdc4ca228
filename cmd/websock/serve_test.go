package main

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestServePushesToAllClients(t *testing.T) {
	url, _ := startServer(t, "-push", "5ms", "-size", "20")
	var last string
	for range 2 {
		conn, err := websock.Dial(t.Context(), url, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SendText([]byte("nobody echoes this")); err != nil {
			t.Error(err)
		}
		for range 3 {
			op, msg, err := conn.RecvMessage(nil)
			if op != websock.OpText || len(msg) != 20 || err != nil || string(msg) == last {
				t.Fatalf("%v %q %v", op, msg, err)
			}
			last = string(msg)
		}
	}
}

func TestInterruptedServerClosesConnectionsAsGoingAway(t *testing.T) {
	for _, test := range []struct {
		h2   bool
		args []string
	}{
		{false, nil},
		{false, []string{"-push", "1ms"}},
		{true, []string{"-h2c"}},
		{true, []string{"-h2c", "-transport", "std"}},
		{true, []string{"-h2c", "-push", "1ms"}},
		{true, []string{"-tls"}},
		{true, []string{"-tls", "-transport", "std"}},
	} {
		url, interrupt := startServer(t, test.args...)
		d := dialFlags{insecure: true, h2: test.h2}
		config, err := d.config()
		if err != nil {
			t.Fatal(err)
		}
		conn, err := websock.Dial(t.Context(), url, &config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		ended := make(chan outcome)
		go func() { ended <- interrupt() }()
		for err == nil {
			_, _, err = conn.RecvMessage(nil)
		}
		var closed *websock.CloseError
		if !errors.As(err, &closed) || closed.Code != websock.CloseGoingAway || closed.Local {
			t.Errorf("%v: %v", test, err)
		}
		if got := <-ended; got.code != 0 || strings.Contains(got.err, "websock: ") {
			t.Errorf("%v: %+v", test, got)
		}
		if config.Mux != nil {
			if err := config.Mux.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestServeEndsWithStandardInput(t *testing.T) {
	got := command(t.Context(), "", "serve", "-addr", "127.0.0.1:0", "-stdin")
	if got.code != 0 || got.err != "" {
		t.Errorf("%+v", got)
	}
}

func TestServeTLS(t *testing.T) {
	cert, key := writeCertificate(t)
	url, _ := startServer(t, "-tls-cert", cert, "-tls-key", key)
	for _, trust := range [][]string{{"-ca", cert}, {"-insecure"}} {
		r, got := runFanout(t, append(trust, "-url", url, "-n", "5", "-duration", "50ms", "-window", "4")...)
		if got.code != 0 || r.Sent != r.Received || r.Sent == 0 {
			t.Errorf("%v: %+v", trust, got)
		}
	}
	r, got := runFanout(t, "-url", url, "-n", "2", "-duration", "50ms")
	if got.code != 1 || r.Errors["TLS"] != 2 {
		t.Errorf("no trust: %+v", got)
	}
}

func TestServeTLSWithItsOwnCertificate(t *testing.T) {
	var said syncBuffer
	url, interrupt := startServerWithStderr(t, &said, "-tls", "-addr", "localhost:0")
	_, cert, told := strings.Cut(strings.TrimSpace(said.String()), "-ca: ")
	if !told || !strings.HasPrefix(url, "wss://") {
		t.Fatalf("%s %q", url, said.String())
	}
	if got := command(t.Context(), "x\n", "connect", "-count", "1", "-ca", cert, url); got.code != 0 || got.out != "x\n" {
		t.Errorf("%+v", got)
	}
	if got := command(t.Context(), "x\n", "connect", url); got.code == 0 || !strings.Contains(got.err, "certificate") {
		t.Errorf("without trust: %+v", got)
	}
	interrupt()
	if _, err := os.Stat(cert); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it left %s behind", cert)
	}
}

func TestServersShareAPort(t *testing.T) {
	if runtime.GOOS != "linux" {
		got := command(t.Context(), "", "serve", "-addr", "127.0.0.1:0", "-reuseport")
		if got.code != 1 || !strings.Contains(got.err, "-reuseport") {
			t.Errorf("%+v", got)
		}
		return
	}
	url, _ := startServer(t, "-reuseport")
	addr := strings.TrimSuffix(strings.TrimPrefix(url, "ws://"), "/")
	startServer(t, "-reuseport", "-addr", addr)
	if r, got := runFanout(t, "-url", url, "-n", "20", "-duration", "50ms"); got.code != 0 {
		t.Errorf("%+v %+v", got, r)
	}
	if got := command(t.Context(), "", "serve", "-addr", addr); got.code != 1 || !strings.Contains(got.err, "in use") {
		t.Errorf("one that doesn't share: %+v", got)
	}
}

// A client that doesn't read must neither fill the server's memory nor block messages to other
// clients.
func TestPushDropsAClientThatDoesNotRead(t *testing.T) {
	withEveryServer(t, func(t *testing.T, transport string, start func(args ...string) string, config websock.Config) {
		t.Parallel()
		// Messages, more than the system's buffers hold, and at a pace of which a client that reads
		// never falls behind by as much.
		enough, pace := 100, "20ms"
		slowConfig := config
		if config.Mux == nil {
			slowConfig.NetDial = dialWithSmallBuffer
		} else { // the two share a connection: their streams have windows and queues, for a few messages
			enough, pace = 6, "700ms"
		}
		url, begin := start("-push", pace, "-size", "100000"), time.Now()
		slow, err := websock.Dial(t.Context(), url, &slowConfig)
		if err != nil {
			t.Fatal(err)
		}
		defer slow.Close()
		fast, err := websock.Dial(t.Context(), url, &config)
		if err != nil {
			t.Fatal(err)
		}
		defer fast.Close()
		for range enough {
			if _, _, err := fast.RecvMessage(nil); err != nil {
				t.Fatal(err)
			}
		}
		for range enough {
			if _, _, err = slow.RecvMessage(nil); err != nil {
				break
			}
		}
		want := websock.ClosePolicyViolation
		if transport == "std" && config.Mux == nil { // a stream always has a queue
			want = websock.CloseAbnormal // the server can't send a close frame in the middle of a message
		}
		var closed *websock.CloseError
		isLate := time.Since(begin) > websock.DefaultCloseTimeout // the server may not have waited for it to read
		if !errors.As(err, &closed) || closed.Local || closed.Code != want && !(isLate && closed.Code == websock.CloseAbnormal) {
			t.Errorf("the slow one: %v, want %v", err, want)
		}
		if _, _, err := fast.RecvMessage(nil); err != nil {
			t.Errorf("the other one: %v", err)
		}
	})
}

// A client that sends without reading its echoes has to wait, and receives all of them in the end.
func TestServeEchoesToAClientThatReadsLate(t *testing.T) {
	const messages, size = 3000, 10 << 10 // more than the system's buffers hold in both directions
	withEveryServer(t, func(t *testing.T, _ string, start func(args ...string) string, config websock.Config) {
		conn, err := websock.Dial(t.Context(), start(), &config)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		var sent atomic.Int64
		failed := make(chan error, 1)
		go func() {
			msg := make([]byte, size)
			for i := range messages {
				binary.BigEndian.PutUint64(msg, uint64(i))
				if err := conn.SendBinary(msg); err != nil {
					failed <- err
					return
				}
				sent.Add(1)
			}
			failed <- nil
		}()
		for before := int64(-1); before != sent.Load(); time.Sleep(200 * time.Millisecond) {
			before = sent.Load()
		}
		if n := sent.Load(); n == messages {
			t.Errorf("the server has taken all %d messages, for nobody", n)
		}
		var msg []byte
		for i := range messages {
			if _, msg, err = conn.RecvMessage(msg[:0]); err != nil || len(msg) != size || binary.BigEndian.Uint64(msg) != uint64(i) {
				t.Fatalf("echo %d: %.8x of %d bytes, %v", i, msg, len(msg), err)
			}
		}
		if err := <-failed; err != nil {
			t.Error(err)
		}
	})
}
