package websock_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// endless returns the URL of a server that sends a message, and then receives at /talks, and
// reads nothing at /deaf.
func endless(t *testing.T, secure bool) string {
	over := make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websock.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		time.Sleep(2 * time.Millisecond) // so that the message doesn't come with the answer
		c.SendText([]byte("go"))
		if r.URL.Path == "/talks" {
			for err == nil {
				_, _, err = c.RecvMessage(nil)
			}
		} else {
			<-over
		}
		c.Abort(nil)
	}))
	if secure {
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// TestEndingAConnectionNeverWaitsForUserCodeOrThePeer ends connections from within a callback
// and from outside, while a Handler is stuck and while the peer reads nothing and a send waits
// for it. With -v it tells the longest of ten times of each. With a Handler not even Close waits, and
// without one it waits for the peer's answer, but not longer than CloseTimeout.
func TestEndingAConnectionNeverWaitsForUserCodeOrThePeer(t *testing.T) {
	const (
		closeTimeout = 200 * time.Millisecond
		hangs        = 20 * time.Second
	)
	rounds := 1
	if testing.Verbose() {
		rounds = 10
	}
	ends := []struct {
		name string
		end  func(c *websock.Conn)
	}{
		{"Abort", func(c *websock.Conn) { c.Abort(nil) }},
		{"Close", func(c *websock.Conn) { c.Close() }},
	}
	for name, transport := range everyTransport {
		for _, secure := range []bool{false, true} {
			scheme := map[bool]string{false: "ws", true: "wss"}[secure]
			url := endless(t, secure)
			dial := func(t *testing.T, path string, h websock.Handler) *websock.Conn {
				t.Helper()
				c, err := websock.Dial(t.Context(), url+path, &websock.Config{
					TLS:       &tls.Config{InsecureSkipVerify: true}, // a server of the test
					Transport: transport,
					Handler:   h,
					Limits:    websock.Limits{CloseTimeout: closeTimeout, WhenFull: websock.QueueWaits},
				})
				if err != nil {
					t.Fatal(err)
				}
				return c
			}
			for _, e := range ends {
				timed := func(c *websock.Conn) time.Duration {
					took := make(chan time.Duration, 1)
					go func() {
						start := time.Now()
						e.end(c)
						took <- time.Since(start)
					}()
					select {
					case d := <-took:
						return d
					case <-time.After(hangs):
						return hangs
					}
				}
				fill := func(c *websock.Conn) {
					go func() {
						for c.SendBinary(make([]byte, 256<<10)) == nil {
						}
					}()
					time.Sleep(30 * time.Millisecond)
				}
				closed := make(chan error, 1)
				onClose := func(_ *websock.Conn, err error) { closed <- err }
				ignore := func(*websock.Conn, websock.Opcode, []byte) {}
				situations := map[string]func(t *testing.T) time.Duration{
					"idle": func(t *testing.T) time.Duration {
						defer func() { <-closed }()
						return timed(dial(t, "/talks", websock.Messages(ignore, onClose)))
					},
					"inside OnData": func(t *testing.T) time.Duration {
						took := make(chan time.Duration, 1)
						dial(t, "/talks", websock.Messages(func(c *websock.Conn, _ websock.Opcode, _ []byte) {
							start := time.Now()
							e.end(c)
							took <- time.Since(start)
						}, onClose))
						select {
						case d := <-took:
							<-closed
							return d
						case <-time.After(hangs):
							return hangs
						}
					},
					"Handler stuck": func(t *testing.T) time.Duration {
						stuck, release := make(chan bool), make(chan bool)
						c := dial(t, "/talks", websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
							stuck <- true
							<-release
						}, onClose))
						<-stuck
						d := timed(c)
						release <- true
						<-closed
						return d
					},
					"peer deaf, send waits": func(t *testing.T) time.Duration {
						defer func() { <-closed }()
						c := dial(t, "/deaf", websock.Messages(ignore, onClose))
						fill(c)
						return timed(c)
					},
					"pulled, idle": func(t *testing.T) time.Duration { return timed(dial(t, "/talks", nil)) },
					"pulled, peer deaf, send waits": func(t *testing.T) time.Duration {
						c := dial(t, "/deaf", nil)
						fill(c)
						return timed(c)
					},
				}
				for situation, run := range situations {
					t.Run(strings.Join([]string{e.name, name, scheme, situation}, " "), func(t *testing.T) {
						longest := time.Duration(0)
						for range rounds {
							longest = max(longest, run(t))
						}
						t.Logf("longest of %d: %v", rounds, longest)
						if longest >= hangs/2 {
							t.Errorf("%s took %v", e.name, longest)
						}
					})
				}
			}
		}
	}
}

// TestShutdownOfAGroupEndsWithItsContext shuts groups down while a function of theirs is stuck.
// With -v it tells the longest of ten times of each.
func TestShutdownOfAGroupEndsWithItsContext(t *testing.T) {
	const (
		within = 100 * time.Millisecond // of the context
		hangs  = 20 * time.Second
	)
	rounds := 1
	if testing.Verbose() {
		rounds = 10
	}
	stuckIn := map[string]func(o *fanout.Options, stuck func()){
		"nothing": func(o *fanout.Options, stuck func()) {},
		"Prepare": func(o *fanout.Options, stuck func()) {
			o.Prepare = func(context.Context, *fanout.Slot, *fanout.Target) error { stuck(); return nil }
		},
		"OnConnect": func(o *fanout.Options, stuck func()) {
			o.OnConnect = func(context.Context, *fanout.Slot, *websock.Conn) error { stuck(); return nil }
		},
		"OnMessage": func(o *fanout.Options, stuck func()) {
			o.OnMessage = func(*fanout.Slot, websock.Opcode, []byte) { stuck() }
		},
	}
	for name, transport := range everyTransport {
		for _, secure := range []bool{false, true} {
			scheme := map[bool]string{false: "ws", true: "wss"}[secure]
			url := endless(t, secure)
			for where, set := range stuckIn {
				t.Run(strings.Join([]string{name, scheme, where}, " "), func(t *testing.T) {
					longest := time.Duration(0)
					for range rounds {
						release := make(chan bool)
						inside := make(chan bool, 100)
						o := fanout.Options{
							Targets: []fanout.Target{{URL: url + "/deaf", Config: websock.Config{
								TLS:       &tls.Config{InsecureSkipVerify: true}, // a server of the test
								Transport: transport,
							}}},
							Size: 2,
						}
						set(&o, func() {
							inside <- true
							<-release
						})
						g, err := fanout.Start(o)
						if err != nil {
							t.Fatal(err)
						}
						if where == "nothing" {
							g.Wait(t.Context())
						} else {
							<-inside
						}
						ctx, cancel := context.WithTimeout(t.Context(), within)
						took := make(chan time.Duration, 1)
						go func() {
							start := time.Now()
							g.Shutdown(ctx)
							took <- time.Since(start)
						}()
						select {
						case d := <-took:
							longest = max(longest, d)
						case <-time.After(hangs):
							t.Fatalf("Shutdown takes longer than %v", hangs)
						}
						cancel()
						close(release)
					}
					t.Logf("longest of %d, with %v for the context: %v", rounds, within, longest)
				})
			}
		}
	}
}
