package websock

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"

	"github.com/seed004e8d11/websock/transport/h2"
)

// A poolTest opens streams of one host, in a synctest bubble.
type poolTest struct {
	*testing.T
	mux    Mux
	dialer *fakeMuxDialer
	got    chan openedStream
}

// An openedStream is what opening a stream has led to.
type openedStream struct {
	session *fakeSession
	http1   bool // without a session: over HTTP/1.1
	own     *http1Conn
	err     error
}

func newPoolTest(t *testing.T) *poolTest {
	return &poolTest{T: t, dialer: newFakeMuxDialer(), got: make(chan openedStream, 1000)}
}

var poolHost = muxKey{address: "host:443", secure: true}

// open opens n streams, each on a goroutine, and waits until all are open or wait.
func (p *poolTest) open(ctx context.Context, n int) {
	for range n {
		go func() { p.got <- p.openOne(ctx) }()
		synctest.Wait() // so that they come in order
	}
}

// openOne does what Mux.open does.
func (p *poolTest) openOne(ctx context.Context) openedStream {
	for {
		lease, err := p.mux.acquire(ctx, poolHost, p.dialer, nil)
		if err != nil || lease.conn == nil {
			return openedStream{http1: err == nil, own: lease.http1, err: err}
		}
		s := lease.conn.session.(*fakeSession)
		if _, err := s.Open(nil, false); !errors.Is(err, h2.ErrNoRoom) {
			return openedStream{session: s, err: err}
		}
	}
}

// opened returns what n streams that were opened have led to, and fails the test if fewer were.
func (p *poolTest) opened(n int) (streams []openedStream) {
	p.Helper()
	synctest.Wait()
	if len(p.got) < n {
		p.Fatalf("%d streams were opened, want %d", len(p.got), n)
	}
	for range n {
		streams = append(streams, <-p.got)
	}
	return streams
}

// nothingElse fails the test if more was opened or dialled.
func (p *poolTest) nothingElse() {
	p.Helper()
	synctest.Wait()
	if len(p.got) > 0 || len(p.dialer.dials) > 0 {
		p.Errorf("%d streams more were opened, and %d connections dialled", len(p.got), len(p.dialer.dials))
	}
}

// dialled returns the next connection being dialled.
func (p *poolTest) dialled() dialInProgress {
	p.Helper()
	synctest.Wait()
	select {
	case d := <-p.dialer.dials:
		return d
	default:
		p.Fatal("no connection is being dialled")
		panic("unreachable")
	}
}

// pool runs a test in a bubble.
func pool(t *testing.T, test func(p *poolTest)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPoolTest(t)
		test(p)
		p.mux.Close()
		synctest.Wait()
	})
}

func TestDialsShareAConnectionAndDialAsManyAsTheyNeed(t *testing.T) {
	for _, test := range []struct {
		perConn, allowed, opens int
		dials                   int // at once
		conns                   int // in the end
	}{
		{0, 1000, 1, 1, 1},
		{0, 1000, 100, 1, 1},
		{0, 1000, 101, 2, 2},
		{10, 1000, 35, 4, 4},
		{10, 5, 12, 2, 3}, // what the peer allows isn't known at first
		{1, 1000, 3, 3, 3},
	} {
		t.Run(fmt.Sprint(test), func(t *testing.T) {
			pool(t, func(p *poolTest) {
				p.mux.StreamsPerConn = test.perConn
				p.open(p.Context(), test.opens)
				if len(p.dialer.dials) != test.dials {
					p.Errorf("%d connections are being dialled, want %d", len(p.dialer.dials), test.dials)
				}
				conns := 0
				for synctest.Wait(); len(p.dialer.dials) > 0; synctest.Wait() {
					p.dialled().opens(test.allowed)
					conns++
				}
				if conns != test.conns {
					p.Errorf("%d connections were dialled, want %d", conns, test.conns)
				}
				for _, s := range p.opened(test.opens) {
					if s.err != nil {
						p.Error(s.err)
					}
				}
				p.nothingElse()
			})
		})
	}
}

func TestAnOpenConnectionWithRoomIsUsed(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.mux.StreamsPerConn = 2
		p.open(p.Context(), 1)
		first := p.dialled().opens(10)
		p.open(p.Context(), 1)
		p.opened(2)
		p.nothingElse()
		p.open(p.Context(), 1)
		second := p.dialled().opens(10)
		p.opened(1)
		first.end(1) // the place is free again
		p.open(p.Context(), 2)
		p.opened(2)
		p.nothingElse()
		if first.Streams() != 2 || second.Streams() != 2 {
			p.Errorf("%d and %d streams", first.Streams(), second.Streams())
		}
	})
}

func TestTheSettingsOfThePeerCountWhenTheyChange(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.mux.MaxConns = 1
		p.open(p.Context(), 3)
		s := p.dialled().opens(1)
		p.opened(1)
		s.changeAndTell(func() { s.most = 2 })
		p.opened(1)
		s.changeAndTell(func() { s.most = 0 })
		s.end(1)
		p.nothingElse()
		s.changeAndTell(func() { s.most = 5 })
		p.opened(1)
	})
}

func TestADialWaitsWhenMaxConnsIsReached(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.mux.StreamsPerConn, p.mux.MaxConns = 2, 2
		ctx, cancel := context.WithTimeout(p.Context(), time.Minute)
		defer cancel()
		p.open(p.Context(), 4)
		first, _ := p.dialled().opens(10), p.dialled().opens(10)
		p.opened(4)
		impatient, leave := context.WithCancel(p.Context())
		p.open(ctx, 1)
		p.open(impatient, 1)
		p.open(ctx, 2)
		p.nothingElse()
		leave()
		if s := p.opened(1)[0]; !errors.Is(s.err, ErrNoStream) || !errors.Is(s.err, context.Canceled) {
			p.Error(s.err)
		}
		first.end(1)
		p.opened(1)
		p.nothingElse()
		first.Close(http2.ErrCodeNo, nil) // another connection may take its place
		p.dialled().opens(1)
		p.opened(1)
		p.nothingElse()
		time.Sleep(time.Minute)
		var failed *HandshakeError
		if s := p.opened(1)[0]; !errors.Is(s.err, ErrNoStream) || !errors.Is(s.err, context.DeadlineExceeded) || !errors.As(s.err, &failed) {
			p.Error(s.err)
		}
	})
}

func TestDialsWaitInOrder(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.mux.MaxConns = 1
		p.open(p.Context(), 1)
		s := p.dialled().opens(1)
		p.opened(1)
		order := make(chan int, 3)
		for i := range 3 {
			go func() {
				p.openOne(p.Context())
				order <- i
			}()
			synctest.Wait()
		}
		for want := range 3 {
			s.end(1)
			synctest.Wait()
			if got := <-order; got != want {
				p.Errorf("Dial %d was served in place of %d", got, want)
			}
		}
	})
}

func TestAServerThatAllowsNoStreamsIsNotDialledAgain(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.open(p.Context(), 2)
		s := p.dialled().opens(0)
		p.open(p.Context(), 1)
		p.nothingElse()
		s.changeAndTell(func() { s.most = 3 })
		p.opened(3)
		p.nothingElse()
	})
}

func TestADialThatLeavesDoesNotHarmThoseThatShareIt(t *testing.T) {
	pool(t, func(p *poolTest) {
		type key struct{}
		starter, cancel := context.WithCancel(context.WithValue(p.Context(), key{}, "value"))
		p.open(starter, 1)
		d := p.dialled()
		p.open(p.Context(), 1)
		cancel()
		if s := p.opened(1)[0]; !errors.Is(s.err, context.Canceled) {
			p.Error(s.err)
		}
		if d.ctx.Err() != nil || d.ctx.Value(key{}) != "value" {
			p.Errorf("dialling: %v, value %v", d.ctx.Err(), d.ctx.Value(key{}))
		}
		p.open(p.Context(), 1)
		d.opens(10)
		p.opened(2)
		p.nothingElse()
	})
}

func TestDiallingEndsWhenNobodyWaits(t *testing.T) {
	pool(t, func(p *poolTest) {
		ctx, cancel := context.WithCancel(p.Context())
		p.open(ctx, 3)
		d := p.dialled()
		cancel()
		p.opened(3)
		if d.ctx.Err() == nil {
			p.Error("it goes on")
		}
		if s := d.opens(10); s.Err() == nil {
			p.Error("the session that came too late is kept")
		}
		if stats := p.mux.Stats(); len(stats.Hosts) != 0 {
			p.Errorf("%+v", stats)
		}
	})
}

func TestADialThatTakesTooLongForOneIsJoinedByNoOther(t *testing.T) {
	pool(t, func(p *poolTest) {
		hasty, cancel := context.WithTimeout(p.Context(), time.Second)
		defer cancel()
		p.open(p.Context(), 1)
		first := p.dialled()
		p.open(hasty, 1)
		time.Sleep(time.Second)
		p.opened(1)
		p.open(p.Context(), 1)
		second := p.dialled()
		if second.opens(10); p.opened(1)[0].session.conn != second.conn {
			p.Error("it has not used the second connection")
		}
		first.opens(10)
		p.opened(1)
	})
}

func TestEveryDialGetsAnErrorOfItsOwn(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.open(p.Context(), 3)
		p.dialled().conn.failed(&HandshakeError{Reason: "no way", Err: io.ErrNoProgress})
		seen := map[error]bool{}
		for _, s := range p.opened(3) {
			var failed *HandshakeError
			if !errors.As(s.err, &failed) || failed.Reason != "no way" || !errors.Is(s.err, io.ErrNoProgress) {
				p.Error(s.err)
			}
			seen[s.err] = true
		}
		if len(seen) != 3 {
			p.Errorf("%d different errors", len(seen))
		}
		p.nothingElse()
		p.open(p.Context(), 1) // a later one tries again
		p.dialled()
	})
}

func TestAConnectionThatGoesAwayGetsNoMoreStreams(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.mux.MaxConns = 1 // which it doesn't count for any more
		p.open(p.Context(), 1)
		first := p.dialled().opens(10)
		p.opened(1)
		first.changeAndTell(func() { first.goingAway = true })
		p.open(p.Context(), 1)
		second := p.dialled().opens(10)
		if s := p.opened(1)[0]; s.session != second {
			p.Error("it has used the first connection")
		}
		if stats := p.mux.Stats(); stats.Conns != 2 || stats.Streams != 2 || len(stats.Hosts) != 1 {
			p.Errorf("%+v", stats)
		}
		first.Close(http2.ErrCodeNo, nil)
		if stats := p.mux.Stats(); stats.Conns != 1 || stats.Streams != 1 {
			p.Errorf("%+v", stats)
		}
	})
}

func TestAServerWithHTTP1IsRemembered(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.open(p.Context(), 3)
		own := &http1Conn{}
		if d := p.dialled(); !d.conn.foundHTTP1(own) {
			p.Error("nobody takes the connection")
		}
		owners := 0
		for _, s := range p.opened(3) {
			if !s.http1 {
				p.Errorf("%+v", s)
			}
			if s.own == own {
				owners++
			}
		}
		if owners != 1 {
			p.Errorf("%d have taken the connection", owners)
		}
		p.open(p.Context(), 1)
		if s := p.opened(1)[0]; !s.http1 || s.own != nil {
			p.Errorf("%+v", s)
		}
		if stats := p.mux.Stats(); len(stats.Hosts) != 1 || !stats.Hosts[0].HTTP1 {
			p.Errorf("%+v", stats)
		}
		time.Sleep(fallbackMemory + time.Second)
		if stats := p.mux.Stats(); len(stats.Hosts) != 0 {
			p.Errorf("%+v", stats)
		}
		p.open(p.Context(), 1)
		p.dialled().opens(1)
		p.opened(1)
	})
}

func TestTheHTTP1ConnectionOfADialThatHasLeftGoesToAnother(t *testing.T) {
	pool(t, func(p *poolTest) {
		starter, cancel := context.WithCancel(p.Context())
		p.open(starter, 1)
		p.open(p.Context(), 1)
		cancel()
		p.opened(1)
		own := &http1Conn{}
		p.dialled().conn.foundHTTP1(own)
		if s := p.opened(1)[0]; s.own != own {
			p.Errorf("%+v", s)
		}
		p.mux.Close()
	})
}

func TestAConnectionIsClosedWhenItHasBeenIdle(t *testing.T) {
	for _, test := range []struct{ timeout, closedAfter time.Duration }{
		{0, DefaultIdleTimeout},
		{time.Second, time.Second},
		{-1, 0},
	} {
		pool(t, func(p *poolTest) {
			p.mux.IdleTimeout = test.timeout
			p.open(p.Context(), 2)
			s := p.dialled().opens(10)
			p.opened(2)
			time.Sleep(time.Hour) // it is not idle
			s.end(1)
			time.Sleep(time.Hour)
			s.end(1)
			if test.closedAfter == 0 {
				time.Sleep(time.Hour)
				if s.Err() != nil {
					p.Error("closed, although it may be idle for ever")
				}
				return
			}
			time.Sleep(test.closedAfter / 2)
			p.open(p.Context(), 1) // it is in use once more
			p.opened(1)
			s.end(1)
			time.Sleep(test.closedAfter - time.Millisecond)
			if s.Err() != nil {
				p.Errorf("%v: closed too soon", test.timeout)
			}
			time.Sleep(time.Second)
			if s.Err() == nil {
				p.Errorf("%v: not closed", test.timeout)
			}
		})
	}
}

func TestCloseOfAMuxEndsWhatThereIs(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.mux.StreamsPerConn, p.mux.MaxConns = 1, 2
		p.open(p.Context(), 3) // one waits for the second connection, and one in the queue
		s := p.dialled().opens(10)
		p.opened(1)
		p.mux.Close()
		for _, got := range p.opened(2) {
			if !errors.Is(got.err, ErrClosed) {
				p.Error(got.err)
			}
		}
		if d := p.dialled(); d.ctx.Err() == nil || d.opens(1).Err() == nil {
			p.Error("dialling goes on")
		}
		if !errors.Is(s.Err(), ErrClosed) {
			p.Errorf("the session: %v", s.Err())
		}
		p.open(p.Context(), 1)
		if got := p.opened(1)[0]; !errors.Is(got.err, ErrClosed) {
			p.Error(got.err)
		}
		if err := p.mux.Shutdown(p.Context()); err != nil {
			p.Error(err)
		}
	})
}

func TestShutdownOfAMuxWaitsForTheStreams(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.open(p.Context(), 2)
		s := p.dialled().opens(10)
		p.opened(2)
		ctx, cancel := context.WithTimeout(p.Context(), time.Second)
		defer cancel()
		if err := p.mux.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || s.Err() != nil {
			p.Errorf("%v; the session: %v", err, s.Err())
		}
		done := make(chan error, 2)
		for range 2 {
			go func() { done <- p.mux.Shutdown(p.Context()) }()
		}
		p.open(p.Context(), 1)
		if got := p.opened(1)[0]; !errors.Is(got.err, ErrClosed) {
			p.Error(got.err)
		}
		s.end(1)
		synctest.Wait()
		if len(done) > 0 {
			p.Error("it has not waited")
		}
		s.end(1)
		s.Close(http2.ErrCodeNo, nil)
		for range 2 {
			if err := <-done; err != nil {
				p.Error(err)
			}
		}
	})
}

func TestAStreamIsOpenedUnderACork(t *testing.T) {
	pool(t, func(p *poolTest) {
		p.open(p.Context(), 1)
		s := p.dialled().opens(2)
		p.opened(1)
		for _, want := range []error{nil, h2.ErrNoRoom} {
			if _, err := openTogether(s, nil); err != want {
				p.Errorf("%v, want %v", err, want)
			}
		}
		if s.corks != 0 || s.flushes != 2 || s.corkedOpens != 2 {
			p.Errorf("corked %d times, flushed %d times; %d streams were opened under a cork", s.corks, s.flushes, s.corkedOpens)
		}
	})
}
