package connect

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/internal/netpair"
)

// servePipes serves WebSockets by a function, and returns the listener to dial.
func servePipes(t *testing.T, serve func(conn *websock.Conn)) (l netpair.Pipes, closes func()) {
	l = netpair.NewPipes()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		serve(conn)
	})}
	go server.Serve(l)
	return l, func() { server.Close() }
}

func TestTheQuietTimeBeginsAnewWithEachPartOfAMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, closes := servePipes(t, func(conn *websock.Conn) {
			conn.RecvMessage(nil)
			for _, part := range []string{"p", "a", "r", "t", "s"} {
				op := websock.OpContinuation
				if part == "p" {
					op = websock.OpText
				}
				conn.SendFrame(op, part == "s", []byte(part))
				time.Sleep(2 * time.Second) // together longer than Wait
			}
			conn.RecvMessage(nil)
		})
		defer closes()
		var out, stderr bytes.Buffer
		begin := time.Now()
		outcome, err := Run(t.Context(), console.Streams{In: strings.NewReader("go\n"), Out: &out, Err: &stderr}, Options{
			URL: "ws://pipe/", Config: websock.Config{Proxy: websock.NoProxy, NetDial: l.Dial},
			Wait: 3 * time.Second, Close: CloseStatus{Code: websock.CloseNormal},
		})
		if outcome != ClosedNormally || err != nil || out.String() != "parts\n" {
			t.Errorf("%v, %v: %q %q", outcome, err, out.String(), stderr.String())
		}
		if took := time.Since(begin); took != 11*time.Second {
			t.Errorf("the session ended after %v", took)
		}
	})
}

// A typist types a line when the connection after the first is announced, and does so before whoever
// announces it goes on.
type typist struct {
	lines     chan string
	announced int
	shown     strings.Builder
}

func (k *typist) readLine() ([]byte, error) {
	line, ok := <-k.lines
	if !ok {
		return nil, io.EOF
	}
	return []byte(line), nil
}

func (k *typist) Write(p []byte) (int, error) {
	k.shown.Write(p)
	if strings.HasPrefix(string(p), "connected to ") {
		k.announced++
		if k.announced == 2 {
			k.lines <- "hello"
			close(k.lines)
			time.Sleep(time.Second) // everybody else goes on
		}
	}
	return len(p), nil
}

func TestWhatIsTypedOnceAConnectionIsAnnouncedIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		received := make(chan string, 1)
		conns := 0
		l, closes := servePipes(t, func(conn *websock.Conn) {
			if conns++; conns == 1 {
				conn.Abort(nil)
				return
			}
			_, msg, _ := conn.RecvMessage(nil)
			received <- string(msg)
			conn.RecvMessage(nil) // the client closes first: over a net.Pipe both can't write at once
		})
		defer closes()
		k := &typist{lines: make(chan string, 1)}
		streams := console.Streams{Out: io.Discard, Err: k}
		s := &session{
			Options: Options{
				URL: "ws://pipe/", Config: websock.Config{Proxy: websock.NoProxy, NetDial: l.Dial},
				Close: CloseStatus{Code: websock.CloseNormal}, Reconnect: true,
			},
			Streams: streams, lines: k, typed: true,
			display: &textDisplay{Streams: streams, announce: true},
		}
		outcome, err := s.run(t.Context())
		if got := <-received; got != "hello" || outcome != ClosedNormally || err != nil {
			t.Errorf("the server got %q; %v, %v: %s", got, outcome, err, &k.shown)
		}
	})
}
