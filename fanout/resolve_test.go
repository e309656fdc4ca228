package fanout

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// startResolving starts a Group in a bubble, whose addressBook the test uses.
func startResolving(t *testing.T, r Rotation) (b *addressBook, shutDown func()) {
	d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return servePipe(ignoreAll), nil })
	g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Rotation: &r})
	return g.addresses, shutDown
}

func addrs(texts ...string) (parsed []netip.Addr) {
	for _, text := range texts {
		parsed = append(parsed, netip.MustParseAddr(text))
	}
	return parsed
}

func TestAnAnswerServesForItsTimeAndAnErrorForAFifth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lookups, broken := 0, errors.New("broken")
		var failure error
		b, shutDown := startResolving(t, Rotation{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			lookups++
			return addrs("192.0.2.1"), failure
		}})
		defer shutDown()
		for i, step := range []struct {
			after   time.Duration
			fails   error
			lookups int
			err     error
		}{
			{0, nil, 1, nil},
			{DefaultTTL - 1, broken, 1, nil},
			{1, broken, 2, broken},
			{DefaultTTL/5 - 1, nil, 2, broken},
			{1, nil, 3, nil},
			{DefaultTTL - 1, nil, 3, nil},
			{1, nil, 4, nil},
		} {
			time.Sleep(step.after)
			failure = step.fails
			_, err := b.find(t.Context(), hostName{name: "feed.test"}, nil)
			if lookups != step.lookups || !errors.Is(err, step.err) {
				t.Fatalf("step %d: %d lookups, %v", i, lookups, err)
			}
		}
		if _, err := b.find(t.Context(), hostName{name: "other.test"}, nil); err != nil || lookups != 5 {
			t.Errorf("another name: %d lookups, %v", lookups, err)
		}
	})
}

func TestThereIsOneLookupOfAHostAtATime(t *testing.T) {
	for _, ttl := range []time.Duration{0, -1} {
		synctest.Test(t, func(t *testing.T) {
			lookups := 0
			b, shutDown := startResolving(t, Rotation{TTL: ttl, Lookup: func(context.Context, string) ([]netip.Addr, error) {
				lookups++
				time.Sleep(time.Second)
				return addrs("192.0.2.1"), nil
			}})
			defer shutDown()
			var all sync.WaitGroup
			for range 100 {
				all.Go(func() {
					if h, err := b.find(t.Context(), hostName{name: "feed.test"}, nil); err != nil || len(h.families[familyIPv4].addresses) != 1 {
						t.Error(h, err)
					}
				})
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			defer cancel()
			if _, err := b.find(ctx, hostName{name: "feed.test"}, nil); !errors.Is(err, context.DeadlineExceeded) {
				t.Error("one that waits for less time:", err)
			}
			all.Wait()
			if lookups != 1 {
				t.Errorf("%d lookups", lookups)
			}
		})
	}
}

func TestShutdownEndsALookupAndWaitsForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := false
		b, shutDown := startResolving(t, Rotation{Lookup: func(ctx context.Context, _ string) ([]netip.Addr, error) {
			<-ctx.Done()
			time.Sleep(time.Second)
			ended = true
			return nil, ctx.Err()
		}})
		gaveUp, cancel := context.WithCancel(t.Context())
		cancel()
		b.find(gaveUp, hostName{name: "feed.test"}, nil)
		if shutDown(); !ended {
			t.Error("Shutdown has returned before")
		}
		if _, err := b.find(t.Context(), hostName{name: "other.test"}, nil); err != ErrClosed {
			t.Error("a lookup after Shutdown:", err)
		}
	})
}

func TestFewNamesAreRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, shutDown := startResolving(t, Rotation{Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return addrs("192.0.2.1"), nil
		}})
		defer shutDown()
		for i := range maxNames + 100 {
			if _, err := b.find(t.Context(), hostName{name: fmt.Sprint(i)}, nil); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(b.names); n != maxNames {
			t.Errorf("%d names", n)
		}
	})
}

func TestTheTurnGoesOnAfterAnotherAnswer(t *testing.T) {
	var turn addressTurn
	all := addrs("192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4")
	take := func() netip.Addr { return turn.nextLocked(time.Now())[0] }
	turn.setLocked(all, familyIPv4)
	first := take()
	if n := turn.nextLocked(time.Now()); len(n) != 4 || n[0] != all[(slices.Index(all, first)+1)%4] || n[3] != first {
		t.Errorf("after %v comes %v", first, n)
	}
	turn.last = all[1]
	for i, test := range []struct {
		answer []netip.Addr
		want   netip.Addr
	}{
		{[]netip.Addr{all[3], all[2], all[0], all[1]}, all[2]}, // in another order
		{[]netip.Addr{all[0], all[3]}, all[3]},                 // the last one is gone
		{all, all[0]},
		{[]netip.Addr{all[2]}, all[2]},
		{all, all[3]},
	} {
		turn.setLocked(test.answer, familyIPv4)
		if got := take(); got != test.want {
			t.Errorf("answer %d: %v, want %v", i, got, test.want)
		}
	}
	starts := map[netip.Addr]bool{}
	for range 200 {
		var turn addressTurn
		turn.setLocked(all, familyIPv4)
		starts[turn.nextLocked(time.Now())[0]] = true
	}
	if len(starts) != len(all) {
		t.Errorf("it begins only with %v", starts)
	}
}

func TestAddressesThatHaveFailedComeLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, shutDown := startResolving(t, Rotation{TTL: time.Hour, Lookup: func(context.Context, string) ([]netip.Addr, error) {
			return addrs("192.0.2.1", "2001:db8::1", "192.0.2.2", "::ffff:192.0.2.3", "2001:db8::2"), nil
		}})
		defer shutDown()
		h, err := b.find(t.Context(), hostName{name: "feed.test"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		v4, v6 := addrs("192.0.2.1", "192.0.2.2", "192.0.2.3"), addrs("2001:db8::1", "2001:db8::2")
		check := func(what string, last netip.Addr, local net.IP, wantFirst, wantSecond []netip.Addr) {
			t.Helper()
			h.families[familyIPv4].last, h.families[familyIPv6].last = last, v6[0]
			if first, second := b.next(h, local); !slices.Equal(first, wantFirst) || !slices.Equal(second, wantSecond) {
				t.Errorf("%s: %v then %v, want %v then %v", what, first, second, wantFirst, wantSecond)
			}
		}
		turnsV6 := []netip.Addr{v6[1], v6[0]}
		check("none has failed", v4[0], nil, []netip.Addr{v4[1], v4[2], v4[0]}, turnsV6)
		check("a source address", v4[0], net.IPv4(127, 0, 0, 1), []netip.Addr{v4[1], v4[2], v4[0]}, nil)
		check("a source address", v4[0], net.IPv6loopback, turnsV6, nil)
		b.note(h, v4[1], false)
		check("one has failed", v4[0], nil, []netip.Addr{v4[2], v4[0], v4[1]}, turnsV6)
		time.Sleep(time.Millisecond)
		b.note(h, v4[2], false)
		check("two have", v4[0], nil, []netip.Addr{v4[0], v4[1], v4[2]}, turnsV6)
		time.Sleep(time.Millisecond)
		b.note(h, v4[0], false)
		check("all of the family have", v4[0], nil, turnsV6, []netip.Addr{v4[1], v4[2], v4[0]})
		b.note(h, v4[0], true)
		check("one works again", v4[1], nil, []netip.Addr{v4[0], v4[1], v4[2]}, turnsV6)
		time.Sleep(DefaultAvoid)
		check("one is tried again", v4[0], nil, []netip.Addr{v4[1], v4[2], v4[0]}, turnsV6)
		check("by one attempt", v4[0], nil, []netip.Addr{v4[2], v4[0], v4[1]}, turnsV6)
	})
}
