package websock_test

import (
	"context"
	"crypto/tls"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// hangs is how long these tests wait for a call that should return at once.
const hangs = time.Minute

// rounds returns how often a case is repeated. With -v, when the longest time of a case is reported,
// the cases are repeated and don't run at the same time.
func rounds(t *testing.T) int {
	if testing.Verbose() {
		return 10
	}
	t.Parallel()
	return 1
}

// An ending is a connection that is ended in a situation.
type ending struct {
	t         *testing.T
	url       string
	transport websock.Transport
	end       func(c *websock.Conn) // Abort or Close
	closed    chan error            // the error of OnClose
}

// dial connects to the path of a server. onMessage is called for messages; nil: there is no Handler.
func (e *ending) dial(path string, onMessage func(*websock.Conn)) *websock.Conn {
	e.t.Helper()
	cfg := &websock.Config{
		TLS:       &tls.Config{InsecureSkipVerify: true}, // a server of the test
		Transport: e.transport,
		Limits:    websock.Limits{CloseTimeout: 200 * time.Millisecond, WhenFull: websock.QueueWaits},
	}
	if onMessage != nil {
		cfg.Handler = websock.Messages(
			func(c *websock.Conn, _ websock.Opcode, _ []byte) { onMessage(c) },
			func(_ *websock.Conn, err error) { e.closed <- err },
		)
	}
	c, err := websock.Dial(e.t.Context(), e.url+path, cfg)
	if err != nil {
		e.t.Fatal(err)
	}
	return c
}

// timed ends c and returns how long that took, or hangs if it didn't return until then.
func (e *ending) timed(c *websock.Conn) time.Duration {
	took := make(chan time.Duration, 1)
	go func() {
		start := time.Now()
		e.end(c)
		took <- time.Since(start)
	}()
	return received(took)
}

func received(took <-chan time.Duration) time.Duration {
	select {
	case d := <-took:
		return d
	case <-time.After(hangs):
		return hangs
	}
}

// fill sends until a send waits for the peer.
func fill(c *websock.Conn) {
	go func() {
		for c.SendBinary(make([]byte, 256<<10)) == nil {
		}
	}()
	time.Sleep(30 * time.Millisecond)
}

func ignore(*websock.Conn) {}

// endingSituations end a connection and return how long that took.
var endingSituations = map[string]func(e *ending) time.Duration{
	"idle": func(e *ending) time.Duration {
		defer func() { <-e.closed }()
		return e.timed(e.dial("/talks", ignore))
	},
	"inside OnData": func(e *ending) time.Duration {
		took := make(chan time.Duration, 1)
		e.dial("/talks", func(c *websock.Conn) {
			start := time.Now()
			e.end(c)
			took <- time.Since(start)
		})
		d := received(took)
		if d < hangs {
			<-e.closed
		}
		return d
	},
	"Handler stuck": func(e *ending) time.Duration {
		stuck, release := make(chan bool), make(chan bool)
		c := e.dial("/talks", func(*websock.Conn) {
			stuck <- true
			<-release
		})
		<-stuck
		d := e.timed(c)
		release <- true
		<-e.closed
		return d
	},
	"peer deaf, send waits": func(e *ending) time.Duration {
		defer func() { <-e.closed }()
		c := e.dial("/deaf", ignore)
		fill(c)
		return e.timed(c)
	},
	"pulled, idle": func(e *ending) time.Duration { return e.timed(e.dial("/talks", nil)) },
	"pulled, peer deaf, send waits": func(e *ending) time.Duration {
		c := e.dial("/deaf", nil)
		fill(c)
		return e.timed(c)
	},
}

// TestEndingAConnectionNeverWaitsForUserCodeOrThePeer ends connections from inside a callback and
// from outside, while a Handler is stuck, and while the peer reads nothing and a send waits for it.
// With -v it reports the longest time of ten for each case. With a Handler, Close doesn't wait
// either. Without one it waits for the peer's close frame, at most for CloseTimeout.
func TestEndingAConnectionNeverWaitsForUserCodeOrThePeer(t *testing.T) {
	ends := map[string]func(c *websock.Conn){
		"Abort": func(c *websock.Conn) { c.Abort(nil) },
		"Close": func(c *websock.Conn) { c.Close() },
	}
	for name, transport := range everyTransport {
		for scheme, secure := range map[string]bool{"ws": false, "wss": true} {
			url := endless(t, secure)
			for how, end := range ends {
				for situation, run := range endingSituations {
					t.Run(strings.Join([]string{how, name, scheme, situation}, " "), func(t *testing.T) {
						n, longest := rounds(t), time.Duration(0)
						for range n {
							e := &ending{t: t, url: url, transport: transport, end: end, closed: make(chan error, 1)}
							longest = max(longest, run(e))
						}
						t.Logf("longest of %d: %v", n, longest)
						if longest >= hangs/2 {
							t.Errorf("%s took %v", how, longest)
						}
					})
				}
			}
		}
	}
}

// TestShutdownOfAGroupEndsWithItsContext shuts groups down while one of their callbacks is stuck. With
// -v it reports the longest time of ten for each case.
func TestShutdownOfAGroupEndsWithItsContext(t *testing.T) {
	const within = 100 * time.Millisecond // of the context
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
		for scheme, secure := range map[string]bool{"ws": false, "wss": true} {
			url := endless(t, secure)
			for where, set := range stuckIn {
				t.Run(strings.Join([]string{name, scheme, where}, " "), func(t *testing.T) {
					n, longest := rounds(t), time.Duration(0)
					for range n {
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
					t.Logf("longest of %d, with %v for the context: %v", n, within, longest)
				})
			}
		}
	}
}
