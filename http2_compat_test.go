package websock

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// netHTTPsOwnServer is set in the environment of the process that runs the tests of net/http's own
// HTTP/2 server, which reads GODEBUG when a process begins.
const netHTTPsOwnServer = "WEBSOCK_TEST_NET_HTTPS_OWN_SERVER"

// inNetHTTPsOwnServer runs the test in such a process, and returns true there.
func inNetHTTPsOwnServer(t *testing.T) bool {
	if os.Getenv(netHTTPsOwnServer) != "" {
		return true
	}
	program, err := os.Executable()
	if err != nil {
		t.Skip(err)
	}
	cmd := exec.Command(program, "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), netHTTPsOwnServer+"=1", "GODEBUG=http2xconnect=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	return false
}

// startNetHTTPsOwnServer starts the server of net/http, with TLS.
func startNetHTTPsOwnServer(t *testing.T, h http.Handler) *runningServer {
	s := httptest.NewUnstartedServer(h)
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return &runningServer{Server: s.Config, addr: s.Listener.Addr().String(), roots: rootsOf(s)}
}

// An http.Handler of net/http's own server must not return before the WebSocket has ended, and OnClose
// is what tells it.
func TestTheCloseFrameIsSentBeforeOnClose(t *testing.T) {
	if !inNetHTTPsOwnServer(t) {
		return
	}
	s := startNetHTTPsOwnServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		closed := make(chan struct{})
		if _, err := Accept(w, r, &AcceptOptions{Handler: Messages(nil, func(*Conn, error) { close(closed) })}); err != nil {
			t.Error(err)
			return
		}
		<-closed
	}))
	session := s.session(t)
	for range 20 {
		st, err := session.Open(s.connect(), false)
		if err != nil {
			t.Fatal(err)
		}
		st.Writev([]byte("\x88\x82\x00\x00\x00\x00\x03\xe8"))
		st.SetReadDeadline(time.Now().Add(20 * time.Second))
		var frame [4]byte
		if _, err := io.ReadFull(st, frame[:]); err != nil || string(frame[:]) != "\x88\x02\x03\xe8" {
			t.Errorf("% x, %v", frame, err)
		}
		st.Close()
	}
}

func TestAcceptUnderNetHTTPsOwnServer(t *testing.T) {
	if !inNetHTTPsOwnServer(t) {
		return
	}
	running := startNetHTTPsOwnServer(t, pageOrEcho(t, nil))
	session := running.session(t)
	c, other := running.open(t, session), running.open(t, session)
	if h, _, err := other.RecvTimeout(make([]byte, 1), 10*time.Millisecond); err != ErrTimeout {
		t.Errorf("%v, %v", h, err)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := c.SendBinary(large); err != nil {
		t.Fatal(err)
	}
	if op, msg, err := c.RecvMessage(nil); op != OpBinary || !bytes.Equal(msg, large) || err != nil {
		t.Errorf("%v, %d bytes, %v", op, len(msg), err)
	}
	roundTrip(t, c)
	roundTrip(t, other)
	if err := session.Err(); err != nil {
		t.Error(err)
	}
	session.Close(http2.ErrCodeNo, nil)
}

// openRaw sends the request of a WebSocket.
func (s *runningServer) openRaw(client *http2.Framer, id uint32) {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, f := range s.connect() {
		encoder.WriteField(f)
	}
	client.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
}

func TestOnePingServesAllWebSocketsOfAConnection(t *testing.T) {
	ends := make(chan error, 2)
	s := serverStarts["cleartext"](t, new(HTTP2Server), &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Accept(w, r, &AcceptOptions{
			KeepAlive: KeepAlive{Ping: 30 * time.Millisecond, Timeout: 3 * time.Second},
			Handler:   Messages(nil, func(c *Conn, err error) { ends <- err }),
		})
	})})
	client := rawHTTP2(t, s.addr)
	s.openRaw(client, 1)
	s.openRaw(client, 3)
	pings := 0
	for {
		f, err := client.ReadFrame() // and answer no PING
		if err != nil {
			break
		}
		switch f.(type) {
		case *http2.PingFrame:
			pings++
		case *http2.DataFrame:
			t.Error("a ping of WebSocket was sent")
		}
	}
	if pings == 0 {
		t.Error("no PING")
	}
	for range 2 {
		if err := <-ends; !errors.Is(err, ErrIdle) {
			t.Error(err)
		}
	}
}

// A server of WebSockets over HTTP/2 ends a stream with END_STREAM and then RST_STREAM: Chromium takes
// the close for unclean otherwise.
func TestTheClosingHandshakeEndsAStreamCleanly(t *testing.T) {
	pushed := func(w http.ResponseWriter, r *http.Request) {
		Accept(w, r, &AcceptOptions{Handler: Messages(func(*Conn, Opcode, []byte) {}, nil)})
	}
	serverCloses := func(w http.ResponseWriter, r *http.Request) {
		limits := Limits{CloseTimeout: 2 * time.Second} // the client doesn't end the stream
		if c, err := Accept(w, r, &AcceptOptions{Limits: limits}); err == nil {
			c.CloseWith(CloseNormal, "")
		}
	}
	closeFrame := "\x88\x82\x00\x00\x00\x00\x03\xe8" // masked with zeros
	for name, handler := range map[string]http.HandlerFunc{"pulled": echo(t, nil), "pushed": pushed, "the server closes": serverCloses} {
		t.Run(name, func(t *testing.T) {
			s := serverStarts["cleartext"](t, new(HTTP2Server), &http.Server{Handler: handler})
			client := rawHTTP2(t, s.addr)
			s.openRaw(client, 1)
			client.WriteData(1, false, []byte(closeFrame))
			var received []byte
			ended := false
			for {
				f, err := client.ReadFrame()
				if err != nil {
					t.Fatal(err)
				}
				switch f := f.(type) {
				case *http2.DataFrame:
					received = append(received, f.Data()...)
					ended = ended || f.StreamEnded()
				case *http2.RSTStreamFrame:
					if string(received) != "\x88\x02\x03\xe8" || !ended || f.ErrCode != http2.ErrCodeNo {
						t.Errorf("%q, END_STREAM %v, %v", received, ended, f.ErrCode)
					}
					return
				}
			}
		})
	}
}
