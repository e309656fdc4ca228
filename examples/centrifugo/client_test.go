package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

func TestPublicationsArrive(t *testing.T) {
	s := newServer(t)
	c := newTestClient(s)
	news, publications := subscribed(t, c, "news")
	_, plain := subscribed(t, c, "plain")
	for n := range 3 {
		if err := c.publish(within(t), "news", fmt.Appendf(nil, `{"n":%d}`, n)); err != nil {
			t.Fatal(err)
		}
		s.publish("plain", fmt.Sprint(n))
		expect(t, publications, fmt.Sprintf(`{"n":%d}`, n), false)
		expect(t, plain, fmt.Sprint(n), false)
	}
	if err := news.unsubscribe(within(t)); err != nil {
		t.Error(err)
	}
	s.publish("news", "4")
	s.publish("plain", "4")
	expect(t, plain, "4", false)
	if len(publications) > 0 {
		t.Errorf("after unsubscribe %+v came", <-publications)
	}
	waitUntil(t, "the ping was answered", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.pongs == 1
	})
}

func TestMissedPublicationsAreRecoveredOnce(t *testing.T) {
	s := newServer(t)
	c := newTestClient(s)
	s.publish("news", "0") // before the subscription
	_, publications := subscribed(t, c, "news")
	s.publish("news", "1")
	expect(t, publications, "1", false)
	for n := 2; n < 12; n += 3 {
		s.lose()
		s.publish("news", fmt.Sprint(n))
		s.publish("news", fmt.Sprint(n+1))
		expect(t, publications, fmt.Sprint(n), false)
		expect(t, publications, fmt.Sprint(n+1), false)
		s.publish("news", fmt.Sprint(n+2))
		expect(t, publications, fmt.Sprint(n+2), false)
	}
}

func TestWhatCannotBeRecoveredIsAGap(t *testing.T) {
	s := newServer(t)
	c := newTestClient(s)
	_, publications := subscribed(t, c, "news")
	_, plain := subscribed(t, c, "plain")
	for n := range 3 {
		s.publish("news", "1")
		expect(t, publications, "1", n > 0)
		s.publish("plain", "1")
		expect(t, plain, "1", n > 0)
		s.mu.Lock()
		s.epoch += "d" // the server was restarted
		s.history["news"] = nil
		s.mu.Unlock()
		s.lose()
		waitUntil(t, "the client is back", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.conn != nil
		})
		c.group.WaitUp(within(t), 1)
	}
}

func TestServerEndsSubscriptions(t *testing.T) {
	s := newServer(t)
	c := newTestClient(s)
	_, publications := subscribed(t, c, "news")
	_, plain := subscribed(t, c, "plain")
	unsubscribe := func(channel string, code int) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.conn.SendText(fmt.Appendf(nil, `{"push":{"channel":%q,"unsubscribe":{"code":%d,"reason":"x"}}}`, channel, code))
	}
	unsubscribe("plain", 2000)
	unsubscribe("news", 2500) // to be made again
	waitUntil(t, "the client is back", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.connects == 2
	})
	s.publish("plain", "1")
	s.publish("news", "1")
	expect(t, publications, "1", false)
	if len(plain) > 0 {
		t.Errorf("%+v came", <-plain)
	}
}

func TestRefusedSubscriptionsAreErrorsWithTheirCode(t *testing.T) {
	s := newServer(t)
	c := newTestClient(s)
	s.refuse["private"] = 103
	_, err := c.subscribe(within(t), "private", nil)
	var refused *serverError
	if !errors.As(err, &refused) || refused.Code != 103 {
		t.Error(err)
	}
	// One that is refused later is dropped, and the others stay.
	_, publications := subscribed(t, c, "news")
	subscribed(t, c, "later")
	s.mu.Lock()
	s.refuse["later"] = 103
	s.mu.Unlock()
	s.lose()
	s.publish("news", "1")
	expect(t, publications, "1", false)
	if _, err := c.subscribe(within(t), "news", nil); !errors.Is(err, errTooMany) {
		t.Errorf("a second time: %v", err)
	}
	waitUntil(t, "the refused subscription is gone", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.subscriptions["later"] == nil
	})
}

func TestServerDecidesWhetherClientsComeBack(t *testing.T) {
	for code, stays := range map[websock.CloseCode]bool{3000: false, 3499: false, 3500: true, 3999: true, 4000: false, 4500: true, 4999: true} {
		s := newServer(t)
		c := newTestClient(s)
		s.mu.Lock()
		s.conn.CloseWith(code, "x")
		s.mu.Unlock()
		if stays {
			waitUntil(t, "the client has stopped", func() bool { return c.group.Slot(0).State() == fanout.Stopped })
			if _, err := c.subscribe(within(t), "news", nil); !errors.Is(err, fanout.ErrDown) {
				t.Error(err)
			}
			continue
		}
		waitUntil(t, "the client is back", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.connects == 2
		})
	}
}

func TestCommandsAreBounded(t *testing.T) {
	s := newServer(t)
	c := newTestClient(s)
	for range maxPending {
		if _, _, err := c.begin(nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.publish(within(t), "news", []byte("1")); !errors.Is(err, errTooMany) {
		t.Error(err)
	}
}
