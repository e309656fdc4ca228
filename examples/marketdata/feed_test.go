package main

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/examples/marketdata/internal/exchange"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

func TestBooksAreRightAgainAfterEachFault(t *testing.T) {
	for _, c := range []struct {
		fault      exchange.Fault
		alarm      error             // nil: none
		code       websock.CloseCode // with which the connection ended; 0: any
		handshakes int               // at most, in all
		seconds    int               // until the books are right again, at most
		unnoticed  bool              // the book is out of date for a while, and can't know
	}{
		{exchange.DropUpdate, errGap, 0, 1, 2, true},
		{exchange.RepeatUpdate, nil, 0, 1, 1, false},
		{exchange.WrongChecksum, errChecksum, 0, 1, 2, false},
		{exchange.TornMessage, errNotJSON, 0, 2, 3, false},
		{exchange.HugeMessage, errTooLarge, websock.CloseMessageTooBig, 2, 3, false},
		{exchange.Stall, errStale, 0, 2, 12, true},
		{exchange.Disconnect, errLost, websock.CloseAbnormal, 2, 3, false},
		{exchange.CloseRestart, errLost, websock.CloseServiceRestart, 2, 32, false},
		{exchange.CloseOverloaded, errLost, websock.CloseTryAgainLater, 2, 62, false},
		{exchange.CloseMaintenance, errLost, closeMaintenance, 2, 65, false},
		{exchange.RefuseHandshakes, errLost, 0, 3, 65, false},
		{exchange.RefuseSubscriptions, errRefused, 0, 2, 6, false},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLab(t, nil)
				defer l.shutDown()
				l.steps(5)
				l.right()
				if len(l.alarms) > 0 {
					t.Fatalf("alarms before anything is wrong: %v", l.alarms)
				}
				l.exchange.Misbehave(c.fault)
				for range c.seconds {
					l.step(time.Second)
					if !c.unnoticed {
						l.rightOrNotLive()
					}
				}
				l.right()
				for range 100 {
					l.step(time.Second)
					l.right()
				}
				if c.alarm == nil && len(l.alarms) > 0 || c.alarm != nil && !l.alarmed(c.alarm) {
					t.Errorf("alarms: %v", l.alarms)
				}
				if c.code != 0 && closeCodeOf(l.alarms[0].err) != c.code {
					t.Errorf("closed with %d: %v", closeCodeOf(l.alarms[0].err), l.alarms[0])
				}
				if s := l.exchange.Stats(); len(s.Handshakes) > c.handshakes || s.Open != 1 {
					t.Errorf("%d handshakes, %d connections", len(s.Handshakes), s.Open)
				}
			})
		})
	}
}

func closeCodeOf(err error) websock.CloseCode {
	var closed *websock.CloseError
	var limit *websock.LimitError
	switch {
	case errors.As(err, &limit):
		return limit.Code
	case errors.As(err, &closed):
		return closed.Code
	}
	return 0
}

func TestRetryAfterIsRespected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		defer l.shutDown()
		l.steps(5)
		l.exchange.Misbehave(exchange.RefuseHandshakes)
		began := time.Now()
		l.steps(70)
		for _, at := range l.exchange.Stats().Handshakes[2:] { // the second one was told when to come back
			if wait := at.Sub(began); wait < time.Minute {
				t.Errorf("dialed again after %v", wait)
			}
		}
		l.right()
	})
}

// Nothing helps against checksums that are always wrong, and subscriptions don't either.
func TestABookThatIsAlwaysWrongIsNotSubscribedWithoutEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		defer l.shutDown()
		l.steps(5)
		for range 600 {
			l.exchange.Misbehave(exchange.WrongChecksum)
			l.step(time.Second)
			l.rightOrNotLive()
		}
		if s := l.exchange.Stats(); s.Subscriptions < 50 || s.Subscriptions > 150 {
			t.Errorf("%d subscriptions in ten minutes", s.Subscriptions)
		}
		l.steps(11)
		l.right()
	})
}

func TestABannedClientDoesNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		defer l.shutDown()
		l.steps(5)
		l.exchange.Misbehave(exchange.CloseBanned)
		l.steps(1000)
		if !l.alarmed(errStopped) || len(l.exchange.Stats().Handshakes) != 1 {
			t.Errorf("alarms %v, handshakes at %v", l.alarms, l.exchange.Stats().Handshakes)
		}
		if _, _, ok := l.feed.book("BTC-USD"); ok {
			t.Error("the book is live")
		}
	})
}

// For two days there is a book that is right, without a moment in which there is none, and every ping
// is answered.
func TestAConnectionIsReplacedBeforeTheExchangeEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(_ *exchange.Exchange, s *settings) { s.subscriptions, s.stale = 0.1, 10*time.Minute })
		defer l.shutDown()
		l.step(time.Minute)
		for range 2 * 24 * 30 {
			l.step(2 * time.Minute)
			l.right()
		}
		s := l.exchange.Stats()
		if len(l.alarms) > 0 || s.Expired != 0 || s.PongsMissing != 0 || s.Open != 1 || len(s.Handshakes) != 3 {
			t.Errorf("alarms %v; %+v", l.alarms, s)
		}
	})
}

func TestAConnectionThatTheExchangeEndsIsDialedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(e *exchange.Exchange, _ *settings) { e.Lifetime = time.Minute })
		defer l.shutDown()
		l.steps(61)
		l.steps(5)
		l.right()
		if s := l.exchange.Stats(); s.Expired != 1 || len(s.Handshakes) != 2 || !l.alarmed(errLost) {
			t.Errorf("alarms %v; %+v", l.alarms, s)
		}
	})
}

// The old connection is lost while the new one is not ready.
func TestTheLossOfAConnectionThatIsBeingReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, func(_ *exchange.Exchange, s *settings) { s.subscriptions, s.lifetime = 1, time.Minute })
		defer l.shutDown()
		for len(l.exchange.Stats().Handshakes) < 2 {
			l.step(100 * time.Millisecond)
		}
		l.exchange.Misbehave(exchange.Disconnect)
		l.steps(10)
		l.right()
		if s := l.exchange.Stats(); s.Open != 1 {
			t.Errorf("%d connections are open", s.Open)
		}
	})
}

func TestSubscriptionsKeepTheLimitOfTheExchange(t *testing.T) {
	for _, c := range []struct {
		subscriptions float64
		refused       bool
	}{{4, false}, {40, true}} {
		synctest.Test(t, func(t *testing.T) {
			symbols := strings.Split("A B C D E F G H I J K L M N O P Q R S T", " ")
			l := newLab(t, func(e *exchange.Exchange, s *settings) {
				*e = *exchange.New(1, symbols...)
				s.symbols, s.subscriptions = symbols, c.subscriptions
			})
			defer l.shutDown()
			l.steps(10)
			l.right()
			if s := l.exchange.Stats(); s.TooMany > 0 != c.refused || s.Subscriptions != len(symbols) || l.alarmed(errRefused) != c.refused {
				t.Errorf("at %v a second: %+v, alarms %v", c.subscriptions, s, l.alarms)
			}
		})
	}
}

// This client does not receive, and so answers no pings by itself.
func TestTheExchangeClosesConnectionsThatAnswerPingsWithAnotherPayload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLab(t, nil)
		defer l.shutDown()
		cfg := l.config()
		conn, err := websock.Dial(t.Context(), "ws://exchange.example/", &cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Abort(nil)
		for range 5 * 60 {
			conn.SendPong([]byte("not what was asked for")) // an error means that the exchange has closed the connection
			l.step(time.Second)
		}
		if s := l.exchange.Stats(); s.PongsMissing != 1 {
			t.Errorf("%+v", s)
		}
		l.right()
	})
}

// The other tests use pipes and a clock of their own; this one, event loops.
func TestBooksAreRightOverTCP(t *testing.T) {
	e := exchange.New(3, "BTC-USD", "ETH-USD")
	e.Transport, e.Subscriptions = epoll.Transport(), 1000
	server := httptest.NewServer(e)
	defer server.Close()
	defer e.Close()
	f, err := startFeed(settings{
		target:        fanout.Target{URL: "ws" + strings.TrimPrefix(server.URL, "http"), Config: websock.Config{Transport: epoll.Transport()}},
		symbols:       []string{"BTC-USD", "ETH-USD"},
		subscriptions: 200,
		lifetime:      time.Hour,
		stale:         time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer f.close()
	right := func() bool {
		for _, symbol := range f.symbols {
			if bids, asks, ok := f.book(symbol); !ok || !equals(e, symbol, bids, asks) {
				return false
			}
		}
		return true
	}
	for _, fault := range []exchange.Fault{
		exchange.None, exchange.RepeatUpdate, exchange.WrongChecksum, exchange.TornMessage,
	} {
		e.Misbehave(fault)
		e.Step()
		e.Step() // with which a missing update is noticed
		for end := time.Now().Add(time.Minute); !right(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %q the books never become right", fault)
			}
		}
	}
}
