package transporttest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// uses are what a connection may be in the middle of when it ends. Each has to return.
var uses = map[string]func(c *websock.Conn, r *rand.Rand) error{
	"SendText":    func(c *websock.Conn, r *rand.Rand) error { return c.SendText(make([]byte, r.IntN(2000))) },
	"a large one": func(c *websock.Conn, r *rand.Rand) error { return c.SendBinary(make([]byte, 300<<10)) },
	"SendPing":    func(c *websock.Conn, r *rand.Rand) error { return c.SendPing([]byte("p")) },
	"TrySend":     func(c *websock.Conn, r *rand.Rand) error { return c.TrySend(websock.OpText, []byte("t")) },
	"Cork": func(c *websock.Conn, r *rand.Rand) error {
		c.Cork()
		for range r.IntN(5) {
			c.SendText([]byte("corked"))
		}
		return errors.Join(c.Flush(), c.Err())
	},
	"a writer": func(c *websock.Conn, r *rand.Rand) error {
		w, err := c.NextWriter(websock.OpBinary)
		if err != nil {
			return err
		}
		for range r.IntN(3) {
			w.Write(make([]byte, 20<<10))
		}
		return w.Close()
	},
	"Reserve": func(c *websock.Conn, r *rand.Rand) error {
		b, err := c.Reserve(1000)
		if err != nil {
			return err
		}
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		if r.IntN(2) == 0 {
			b.Release()
			return nil
		}
		clear(b.Bytes())
		return b.SendText(r.IntN(1000))
	},
	"Drain": func(c *websock.Conn, r *rand.Rand) error { return c.Drain(0) },
	"deadlines": func(c *websock.Conn, r *rand.Rand) error {
		c.SetRecvDeadline(time.Now().Add(time.Hour))
		c.SetSendDeadline(time.Time{})
		return c.Err()
	},
	"Pause": func(c *websock.Conn, r *rand.Rand) error {
		c.Pause()
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
		c.Resume()
		return c.Err()
	},
}

// finishes are the ways to end a connection.
var finishes = map[string]func(c *websock.Conn){
	"Close":     func(c *websock.Conn) { c.Close() },
	"Abort":     func(c *websock.Conn) { c.Abort(nil) },
	"both":      func(c *websock.Conn) { go c.Close(); c.Abort(nil) },
	"twice":     func(c *websock.Conn) { go c.CloseWith(4000, "a"); c.CloseWith(4001, "b") },
	"a timeout": func(c *websock.Conn) { c.SetSendDeadline(time.Now()); c.SendText(nil); c.Close() },
}

// However a connection is used and by whichever side it ends, all calls return, OnClose comes
// once, and nothing comes after it.
func (s Suite) testEveryUseEndsWithTheConnection(t *testing.T) {
	for end, finish := range finishes {
		for _, way := range []string{"pulled", "pushed"} {
			for _, both := range []bool{false, true} {
				t.Run(end+", "+way, func(t *testing.T) {
					t.Parallel()
					for seed := range uint64(3) {
						s.play(t, seed, way == "pushed", both, finish)
					}
				})
			}
		}
	}
}

// play has two peers use a connection in all ways until one of them, or both, finish.
func (s Suite) play(t *testing.T, seed uint64, pushed, both bool, finish func(*websock.Conn)) {
	limits := websock.Limits{CloseTimeout: 300 * time.Millisecond, SendQueue: 16 << 10}
	client, server := s.pair(t, "tcp", limits)
	var running sync.WaitGroup
	for side, c := range []*websock.Conn{client, server} {
		if pushed {
			over := make(chan error, 10)
			var ended atomic.Bool
			c.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
				if ended.Load() {
					t.Error("OnData came after OnClose")
				}
				if len(msg) < 100 {
					c.SendFrame(op, true, msg)
				}
			}, func(c *websock.Conn, err error) {
				ended.Store(true)
				c.Close()
				over <- err
			}))
			running.Go(func() {
				if err := wait(t, "OnClose", over); err == nil {
					t.Error("OnClose got nil")
				}
				time.Sleep(time.Millisecond)
				if len(over) > 0 {
					t.Errorf("OnClose came twice, with %v", <-over)
				}
			})
		} else {
			running.Go(func() {
				var msg []byte
				for {
					var err error
					if _, msg, err = c.RecvMessage(msg[:0]); err != nil && !errors.Is(err, websock.ErrTimeout) {
						c.Close()
						return
					}
				}
			})
		}
		for name, use := range uses {
			r := rand.New(rand.NewPCG(seed, uint64(len(name)+100*side)))
			running.Go(func() {
				for {
					err := use(c, r)
					var closed *websock.CloseError
					if errors.As(err, &closed) {
						return
					}
					time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
				}
			})
		}
	}
	time.Sleep(time.Duration(seed) * 5 * time.Millisecond)
	if both {
		go finish(server)
	}
	finish(client)
	done := make(chan struct{})
	go func() { running.Wait(); close(done) }()
	wait(t, "the end of all calls", done)
	for _, c := range []*websock.Conn{client, server} {
		if c.Err() == nil {
			t.Error("Err returns nil")
		}
	}
}
