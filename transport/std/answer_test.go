package std_test

import (
	"bytes"
	stdtls "crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

// A net.Conn without CloseWrite, such as one that limits the rate, can't end one direction of the stream. A
// server that closes has to wait for the client's close frame then, not for the end of the stream: a
// client leaves that to the server (RFC 6455 section 7.1.1).
func TestCloseWithoutCloseWriteWaitsForTheCloseFrame(t *testing.T) {
	carriers := map[string]func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn){
		"ws":                  func(_ testing.TB, client, server net.Conn) (net.Conn, net.Conn) { return client, server },
		"wss, TLS 1.2":        netpair.SecuredBy(stdtls.VersionTLS12),
		"wss, TLS 1.3":        netpair.SecuredBy(stdtls.VersionTLS13),
		"wss over crypto/tls": netpair.SecuredByOthers(stdtls.VersionTLS13),
	}
	ways := map[string]func(c *websock.Conn) error{
		"pulled": func(c *websock.Conn) error { return c.Close() },
		"receiving": func(c *websock.Conn) error {
			received := make(chan error)
			go func() {
				_, _, err := c.RecvMessage(nil)
				received <- err
			}()
			time.Sleep(time.Millisecond) // until it waits
			err := c.Close()
			var closed *websock.CloseError
			if received := <-received; !errors.As(received, &closed) || !closed.Local {
				return errors.Join(err, received)
			}
			return err
		},
		"pushed": func(c *websock.Conn) error {
			return c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) { runtime.Goexit() }, nil))
		},
	}
	for carrier, carry := range carriers {
		for way, end := range ways {
			bubble, delay := synctest.Test, time.Second
			if way == "receiving" && carrier != "ws" { // a mutex of crypto/tls would stop the clock
				bubble, delay = func(t *testing.T, f func(*testing.T)) { f(t) }, 0
			}
			t.Run(carrier+", "+way, func(t *testing.T) {
				bubble(t, func(t *testing.T) {
					near, far := net.Pipe()
					client, server := carry(t, delayed{near, delay}, far)
					c, peer := newConn(t, server, websock.Server), newConn(t, client, websock.Client)
					begun := time.Now()
					ended := make(chan error)
					go func() {
						if way == "pushed" {
							peer.SendText([]byte("hello"))
						}
						_, _, err := peer.RecvMessage(nil)
						ended <- errors.Join(err, peer.Close())
					}()
					if err := end(c); err != nil {
						t.Error(err)
					}
					var closed *websock.CloseError
					if err := <-ended; !errors.As(err, &closed) || closed.Local || errors.Is(err, websock.ErrTimeout) {
						t.Errorf("the client got %v", err)
					}
					if took := time.Since(begun); took >= closeTimeout {
						t.Errorf("it took %v", took)
					}
				})
			})
		}
	}
}

const closeTimeout = time.Minute

func newConn(t *testing.T, conn net.Conn, role websock.Role) *websock.Conn {
	t.Helper()
	carrier, err := websock.Attach(std.Transport(), conn, nil)
	if err != nil {
		t.Fatal(err)
	}
	return websock.NewConn(carrier, role, websock.Options{Limits: websock.Limits{CloseTimeout: closeTimeout}})
}

func TestLingerForAnswer(t *testing.T) {
	const answer = "the answer"
	isAnswer := func(p []byte) bool { return bytes.HasSuffix(p, []byte(answer)) }
	long := strings.Repeat("x", 3000)
	for name, test := range map[string]struct {
		early    string
		before   []string // what arrives before LingerForAnswer is called
		after    []string // and then
		use      func(c *std.Conn)
		answered bool
	}{
		"in one piece":                  {after: []string{answer}, answered: true},
		"byte by byte":                  {after: append([]string{long}, strings.Split(answer, "")...), answered: true},
		"after much else":               {after: []string{long, long + answer}, answered: true},
		"followed by something":         {after: []string{answer + "x"}},
		"not at all":                    {after: []string{long}},
		"before the call, and not read": {before: []string{long + answer}, use: func(c *std.Conn) { c.View() }, answered: true},
		"before the call, and changed by its reader": {before: []string{long + answer}, use: func(c *std.Conn) { v, _ := c.View(); clear(v) }, answered: true},
		"partly before the call":                     {before: []string{long + answer[:4]}, after: []string{answer[4:]}, use: func(c *std.Conn) { v, _ := c.View(); c.Consume(len(v)) }, answered: true},
		"with the response of the handshake":         {early: answer, answered: true},
		"while another goroutine waits":              {after: []string{"x", answer}, use: func(c *std.Conn) { go c.View() }, answered: true},
		"while another goroutine reads":              {after: []string{"x", answer}, use: func(c *std.Conn) { go c.Read(make([]byte, 5000)) }, answered: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				c := std.New(near, []byte(test.early))
				if !c.AwaitsAnswer() {
					t.Error("a pipe has no CloseWrite")
				}
				ended := make(chan error)
				go func() {
					for _, s := range test.before {
						io.WriteString(far, s)
					}
					time.Sleep(time.Second)
					for _, s := range test.after {
						io.WriteString(far, s)
					}
					_, err := far.Read(make([]byte, 1))
					ended <- err
				}()
				if test.use != nil {
					test.use(c)
					synctest.Wait()
				}
				begun := time.Now()
				err := c.LingerForAnswer(time.Hour, isAnswer)
				took := time.Since(begun)
				if test.answered && (err != nil || took > time.Minute) || !test.answered && (err != os.ErrDeadlineExceeded || took < time.Hour) {
					t.Errorf("%v after %v", err, took)
				}
				if err := <-ended; err != io.EOF {
					t.Errorf("the peer got %v", err)
				}
			})
		})
	}
}

// A streamWithCloseWrite is a std.Stream that can end one direction.
type streamWithCloseWrite struct{ *bufferedStream }

func (streamWithCloseWrite) CloseWrite() error { return nil }

// Where CloseWrite works, a server's Close ends the stream by it.
func TestAwaitsAnswerOnlyWithoutCloseWrite(t *testing.T) {
	for network, want := range map[string]bool{"tcp": false, "tunnel": false, "pipe": true} {
		near, _ := netpair.Sockets(t, network)
		if c := std.New(near, nil); c.AwaitsAnswer() != want {
			t.Errorf("%s: %v", network, !want)
		}
	}
	near, _ := netpair.Sockets(t, "tcp")
	if c := std.New(streamWithCloseWrite{&bufferedStream{Conn: near}}, nil); !c.AwaitsAnswer() {
		t.Error("a Stream's CloseWrite may be taken for the end of both directions")
	}
}
