package fanout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// startEmpty starts a Group without slots.
func startEmpty(t testing.TB, o Options) *Group {
	o.Size = -1
	return startGroup(t, o)
}

// mustAdd adds a slot.
func mustAdd(t testing.TB, g *Group, key string, o SlotOptions) *Slot {
	t.Helper()
	s, err := g.Add(key, o)
	if err != nil {
		t.Fatal(key, err)
	}
	return s
}

// waitEnded waits until the slot has ended, and asserts why.
func waitEnded(t testing.TB, s *Slot, cause error) {
	t.Helper()
	select {
	case <-s.Context().Done():
	case <-time.After(20 * time.Second):
		t.Fatalf("%s doesn't end: %v", s.Key(), s.State())
	}
	if got := context.Cause(s.Context()); got != cause {
		t.Errorf("%v, want %v", got, cause)
	}
}

func TestAddedSlotsConnectAndRemovedSlotsEnd(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		const slots, messages = 20, 50
		server := newTestServer(t)
		var got, closed atomic.Int32
		server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) { got.Add(1) }
		server.OnEnd = func(_ *websock.Conn, err error) {
			if closeCodeOf(err) == websock.CloseNormal {
				closed.Add(1)
			}
		}
		var downs atomic.Int32
		g := startEmpty(t, Options{
			OnDown: func(s *Slot, err error, next time.Duration) {
				if s.Context().Err() != nil {
					t.Error("OnDown after the end")
				}
				if ReasonOf(err) != Ended || closeCodeOf(err) != websock.CloseNormal || next >= 0 {
					t.Errorf("%v, next %v", err, next)
				}
				downs.Add(1)
			},
		})
		if err := g.Wait(t.Context()); err != nil || g.Len() != 0 {
			t.Fatal(err, g.Len())
		}
		var all []*Slot
		for i := range slots {
			key := fmt.Sprint("key ", i)
			s := mustAdd(t, g, key, SlotOptions{Targets: targetsFor(transport, server.url()), Value: i, Topics: []string{"news"}})
			if g.Find(key) != s || s.Number() != i || g.Slot(i) != s || s.Key() != key || s.Value() != i || g.Len() != i+1 {
				t.Errorf("%s: number %d, value %v, of %d", s.Key(), s.Number(), s.Value(), g.Len())
			}
			all = append(all, s)
		}
		waitAllUp(t, g)
		for range messages {
			if d := g.Publish("news", websock.OpText, make([]byte, 500)); d != (Delivery{Sent: slots}) {
				t.Fatalf("%+v", d)
			}
		}
		for i, s := range all {
			if i%2 == 0 {
				s.Remove()
			} else if err := g.Remove(s.Key()); err != nil {
				t.Error(err)
			}
			if err := s.SendText(nil); err != ErrRemoved {
				t.Error(err)
			}
			if g.Find(s.Key()) != nil || g.Slot(i) != nil || g.Len() != slots-i-1 || g.Remove(s.Key()) != ErrUnknownKey {
				t.Errorf("slot %d is still there", i)
			}
			if d := g.Broadcast(websock.OpPing, nil); d.Refused != g.Len() || d.Down+d.Sent != 0 { // with a message that can't be sent
				t.Errorf("%+v", d)
			}
			s.Subscribe("news")
			s.Remove() // does nothing
		}
		for i, s := range all {
			waitEnded(t, s, ErrRemoved)
			if s.State() != Stopped || s.Conn() != nil || s.Value() != i {
				t.Errorf("%v", s.State())
			}
		}
		waitUntil(t, "all are closed", func() bool { return closed.Load() == slots })
		if got.Load() != slots*messages || downs.Load() != slots {
			t.Errorf("%d messages, %d calls of OnDown", got.Load(), downs.Load())
		}
		waitUntil(t, "none is ending", func() bool { return g.Stats().Ending == 0 })
		s := g.Stats()
		if s.Waiting+s.Connecting+s.Up+s.Stopped != 0 || s.Ready != slots || s.Lost[websock.CloseNormal] != slots || s.Traffic.MessagesSent != slots*messages || s.Subscriptions != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestASlotIsAddedOnlyIfItCanBe(t *testing.T) {
	choose := func(*Slot) Target { return Target{URL: "ws://127.0.0.1:1/"} }
	g := startGroup(t, Options{Size: 2, Choose: choose, Backoff: Backoff{Base: time.Hour}})
	mustAdd(t, g, "a", SlotOptions{})
	for key, test := range map[string]struct {
		options SlotOptions
		want    error
	}{
		"":  {want: errNoKey},
		"a": {want: ErrKeyInUse},
		"1": {want: ErrKeyInUse}, // the number of a slot is its key
		"b": {options: SlotOptions{Targets: URLs("ws://:0/")}},
	} {
		if s, err := g.Add(key, test.options); s != nil || err == nil || test.want != nil && err != test.want {
			t.Errorf("%q: %v", key, err)
		}
	}
	if g.Len() != 3 || g.Stats().Waiting+g.Stats().Connecting != 3 {
		t.Errorf("%d slots, %+v", g.Len(), g.Stats())
	}
	shutdown(t, g)
	if _, err := g.Add("c", SlotOptions{}); err != ErrClosed {
		t.Error(err)
	}
	without := startEmpty(t, Options{})
	if _, err := without.Add("a", SlotOptions{}); err != errNoTarget {
		t.Error(err)
	}
	if err := without.Resize(1); err != errNoTarget {
		t.Error(err)
	}
	if err := without.Remove("a"); err != ErrUnknownKey {
		t.Error(err)
	}
}

func TestNumbersOfRemovedSlotsAreUsedAgain(t *testing.T) {
	g := startEmpty(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Pace: Pace{Rate: 0.001}})
	model := map[int]*Slot{}
	check := func() {
		t.Helper()
		n := 0
		for s := range g.Slots() {
			if model[s.Number()] != s || g.Slot(s.Number()) != s {
				t.Fatalf("slot %d", s.Number())
			}
			n++
		}
		if n != len(model) || n != g.Len() {
			t.Fatalf("%d slots, want %d", n, len(model))
		}
	}
	keys := 0
	add := func() {
		keys++
		s := mustAdd(t, g, fmt.Sprint("key ", keys), SlotOptions{})
		for lower := range s.Number() {
			if model[lower] == nil {
				t.Fatalf("number %d, while %d is free", s.Number(), lower)
			}
		}
		if model[s.Number()] != nil {
			t.Fatalf("number %d twice", s.Number())
		}
		model[s.Number()] = s
	}
	remove := func(number int) {
		model[number].Remove()
		delete(model, number)
	}
	for range 300 {
		add()
	}
	check()
	for i := 299; i >= 0; i -= 3 { // some in the middle, and the last one
		remove(i)
	}
	check()
	for range 20 {
		add()
	}
	for _, number := range slices.Backward(slices.Sorted(maps.Keys(model))) {
		if number > 10 {
			remove(number)
		}
	}
	check()
	if n := cap(g.members.byNumber); n > 64 {
		t.Errorf("memory for %d slots is kept", n)
	}
	for range 20 {
		add()
	}
	check()
	if g.Slot(-1) != nil || g.Slot(math.MaxInt32) != nil {
		t.Error("slots that there can't be")
	}
}

func TestResizeAddsTheLowestNumbersAndRemovesTheHighest(t *testing.T) {
	server := newTestServer(t)
	g := startGroup(t, Options{
		Targets: targetsFor(nil, server.url()),
		Size:    10,
		Key:     func(number int) string { return fmt.Sprint("slot ", number) },
	})
	numbers := func() (numbers []int) {
		for s := range g.Slots() {
			if s.Key() != fmt.Sprint("slot ", s.Number()) {
				t.Error(s.Key())
			}
			numbers = append(numbers, s.Number())
		}
		return numbers
	}
	waitAllUp(t, g)
	g.Slot(3).Remove()
	g.Slot(5).Remove()
	for _, step := range []struct {
		to   int
		want []int
	}{{9, []int{0, 1, 2, 3, 4, 6, 7, 8, 9}}, {4, []int{0, 1, 2, 3}}, {4, []int{0, 1, 2, 3}}, {6, []int{0, 1, 2, 3, 4, 5}}, {0, nil}, {2, []int{0, 1}}} {
		if err := g.Resize(step.to); err != nil {
			t.Fatal(err)
		}
		if got := numbers(); !slices.Equal(got, step.want) || g.Len() != step.to {
			t.Errorf("%d: %v, want %v", step.to, got, step.want)
		}
		waitAllUp(t, g)
	}
	mustAdd(t, g, "slot 3", SlotOptions{}) // gets number 2
	if err := g.Resize(4); err != ErrKeyInUse || g.Len() != 3 {
		t.Error(err, g.Len())
	}
	if err := g.Resize(-1); err != errSize {
		t.Error(err)
	}
	waitUntil(t, "the others have left", func() bool { return len(server.all()) == 3 && g.Stats().Ending == 0 })
	shutdown(t, g)
	if err := g.Resize(10); err != ErrClosed {
		t.Error(err)
	}
	if err := g.Resize(1); err != nil || g.Len() != 1 {
		t.Error(err)
	}
}

func TestConcurrentResizesEnd(t *testing.T) {
	g := startEmpty(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Pace: Pace{Rate: 0.001}})
	var resizing sync.WaitGroup
	for _, n := range []int{0, 3, 50, 7} {
		resizing.Go(func() {
			for range 20 {
				if err := g.Resize(n); err != nil {
					t.Error(err)
				}
			}
		})
	}
	resizing.Wait()
	if n := g.Len(); n > 50 || g.Stats().Waiting+g.Stats().Connecting != n {
		t.Errorf("%d slots, %+v", n, g.Stats())
	}
}

// Each connection says its key, so the server sees whether one has two. It may be told of the end of one
// a moment after the client has closed it.
func TestAKeyNeverHasTwoConnections(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		var mu sync.Mutex
		open := map[string]*websock.Conn{}
		keys := map[*websock.Conn]string{}
		server.OnRequest = func(r *http.Request) error {
			for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
				mu.Lock()
				last := open[r.URL.Path]
				mu.Unlock()
				if last == nil {
					return nil
				}
			}
			t.Errorf("%s has two connections", r.URL.Path)
			return nil
		}
		server.OnMessage = func(c *websock.Conn, _ websock.Opcode, path []byte) {
			mu.Lock()
			defer mu.Unlock()
			open[string(path)], keys[c] = c, string(path)
		}
		server.OnEnd = func(c *websock.Conn, _ error) {
			mu.Lock()
			defer mu.Unlock()
			delete(open, keys[c])
		}
		g := startEmpty(t, Options{
			Targets: targetsFor(transport, server.url()),
			Prepare: func(_ context.Context, s *Slot, to *Target) error {
				to.URL += s.Key()
				return nil
			},
			OnConnect: func(_ context.Context, s *Slot, c *websock.Conn) error { return c.SendText([]byte("/" + s.Key())) },
		})
		for round := range 60 {
			key := fmt.Sprint(round % 3)
			for g.Find(key) != nil {
				g.Remove(key)
			}
			s := mustAdd(t, g, key, SlotOptions{})
			switch round % 4 {
			case 0:
				waitAllUp(t, g)
			case 1:
				time.Sleep(time.Duration(round) * 20 * time.Microsecond)
			case 2:
				s.Remove()
				mustAdd(t, g, key, SlotOptions{})
			}
		}
		waitAllUp(t, g)
	})
}

func TestARemovedSlotIsCollected(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		g := startEmpty(t, Options{
			Targets:   targetsFor(transport, server.url()),
			Ping:      -1, // a timer would keep the slot until the next ping
			OnMessage: func(*Slot, websock.Opcode, []byte) {},
		})
		freed := make(chan struct{}, 1)
		func() {
			s := mustAdd(t, g, "a", SlotOptions{Topics: []string{"news"}})
			mustAdd(t, g, "b", SlotOptions{})
			runtime.AddCleanup(s, func(freed chan struct{}) { freed <- struct{}{} }, freed)
			waitAllUp(t, g)
			s.SendText([]byte("x"))
			s.Remove()
			waitEnded(t, s, ErrRemoved)
		}()
		waitUntil(t, "the slot is freed", func() bool {
			runtime.GC()
			select {
			case <-freed:
				return true
			case <-time.After(time.Millisecond):
				return false
			}
		})
	})
}

func TestRemovalDropsKeptMessages(t *testing.T) {
	told := make(chan error, 10)
	g := startEmpty(t, Options{
		Targets:    URLs("ws://127.0.0.1:1/"),
		Backoff:    Backoff{Base: time.Hour},
		SendBuffer: 1000,
		OnUnsent: func(s *Slot, n int, err error) {
			if n != 2 || s.Context().Err() != nil {
				t.Errorf("%d messages, %v", n, s.Context().Err())
			}
			told <- err
		},
	})
	s := mustAdd(t, g, "a", SlotOptions{})
	waitUntil(t, "the first failure", func() bool { return s.Failures() > 0 })
	for range 2 {
		if err := s.SendText([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	s.Remove()
	if err := <-told; err != ErrRemoved {
		t.Error(err)
	}
	waitEnded(t, s, ErrRemoved)
	if dropped := g.Stats().Dropped; dropped != 2 {
		t.Error(dropped)
	}
}

func TestAbortEndsAConnectionAtOnce(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) { c.Pause() }
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		targets[0].Config.Limits.CloseTimeout = time.Hour
		downs := make(chan error, 2)
		g := startGroup(t, Options{Targets: targets, Size: 2, Ping: -1, OnDown: func(_ *Slot, err error, _ time.Duration) { downs <- err }})
		waitAllUp(t, g)
		slots := slices.Collect(g.Slots())
		for i, s := range slots {
			for s.SendBinary(make([]byte, 64<<10)) == nil {
			}
			if i == 1 {
				s.Remove() // which waits for the peer
			}
			s.Abort()
			waitEnded(t, s, ErrRemoved)
			if err := <-downs; ReasonOf(err) != Ended || !errors.Is(err, ErrRemoved) || FailureOf(err) != FailedEnded {
				t.Error(err)
			}
		}
	})
}

func TestTheRateChangesWhileSlotsWait(t *testing.T) {
	g := startEmpty(t, Options{Targets: URLs("ws://127.0.0.1:1/"), Pace: Pace{Rate: 1e-6}, Backoff: Backoff{Base: time.Hour}})
	if err := g.Resize(100); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the first attempt", func() bool { return g.Stats().Attempts == 1 })
	g.SetRate(1e-5)
	g.SetRate(-1)
	waitUntil(t, "the others", func() bool { return g.Stats().Attempts == 100 })
}
