package fanout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
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
	case <-time.After(patience):
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
	if s := g.Stats(); g.Len() != 3 || s.Waiting+s.Connecting != 3 {
		t.Errorf("%d slots, %+v", g.Len(), s)
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
	if n, keys := cap(g.members.byNumber), g.members.keys; n > 64 || keys > 64 {
		t.Errorf("memory for %d slots and %d keys is kept", n, keys)
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
	if n, s := g.Len(), g.Stats(); n > 50 || s.Waiting+s.Connecting != n {
		t.Errorf("%d slots, %+v", n, s)
	}
	waitUntil(t, "those that were removed have ended", func() bool { return g.Stats().Ending == 0 })
}

// checkKeys has the server assert that no key has two connections. Options of the Group have to be those of
// withKey. The server may be told of the end of a connection a moment after the client has closed it.
func checkKeys(t *testing.T, server *testServer) {
	var mu sync.Mutex
	open := map[string]*websock.Conn{}
	keys := map[*websock.Conn]string{}
	server.OnRequest = func(r *http.Request) error {
		for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
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
	server.OnMessage = func(c *websock.Conn, op websock.Opcode, msg []byte) {
		if path, says := strings.CutPrefix(string(msg), "key "); says {
			mu.Lock()
			defer mu.Unlock()
			open[path], keys[c] = c, path
			return
		}
		c.SendFrame(op, true, msg)
	}
	server.OnEnd = func(c *websock.Conn, _ error) {
		mu.Lock()
		defer mu.Unlock()
		delete(open, keys[c])
	}
}

// withKey has each connection of a slot say the slot's key, as checkKeys needs it.
func withKey(o Options) Options {
	o.Prepare = func(_ context.Context, s *Slot, to *Target) error {
		to.URL += s.Key()
		return nil
	}
	o.OnConnect = func(_ context.Context, s *Slot, c *websock.Conn) error { return c.SendText([]byte("key /" + s.Key())) }
	return o
}

func TestAKeyNeverHasTwoConnections(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		checkKeys(t, server)
		g := startEmpty(t, withKey(Options{Targets: targetsFor(transport, server.url())}))
		for round := range 60 {
			key := fmt.Sprint(round % 3)
			g.Remove(key)
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
		server.readNothing()
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
	waitUntil(t, "the others", func() bool { return g.Stats().Attempts >= 100 }) // one may have been tried again
}

// eachFunction sets a function of Options so that it calls f with its slot, and has it called.
var eachFunction = map[string]func(o *Options, f func(*Slot)){
	"Choose": func(o *Options, f func(*Slot)) {
		target := o.Targets[0]
		o.Targets = nil
		o.Choose = func(s *Slot) Target { f(s); return target }
	},
	"Prepare": func(o *Options, f func(*Slot)) {
		o.Prepare = func(_ context.Context, s *Slot, _ *Target) error { f(s); return nil }
	},
	"Trace": func(o *Options, f func(*Slot)) {
		o.Trace = func(s *Slot) *websock.Trace { f(s); return nil }
	},
	"OnConnect": func(o *Options, f func(*Slot)) {
		o.OnConnect = func(_ context.Context, s *Slot, _ *websock.Conn) error { f(s); return nil }
	},
	"OnMessage": func(o *Options, f func(*Slot)) {
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) { f(s) }
	},
	"OnData": func(o *Options, f func(*Slot)) {
		o.OnData = func(s *Slot, _ websock.Header, _ []byte) { f(s) }
	},
	"OnDown": func(o *Options, f func(*Slot)) {
		var once sync.Once
		o.OnMessage = func(s *Slot, _ websock.Opcode, _ []byte) { once.Do(func() { s.Conn().Abort(nil) }) }
		o.OnDown = func(s *Slot, _ error, _ time.Duration) { f(s) }
	},
	"OnUnsent": func(o *Options, f func(*Slot)) {
		o.OnConnect = func(_ context.Context, s *Slot, _ *websock.Conn) error {
			s.Group().Broadcast(websock.OpText, nil)
			return nil
		}
		o.OnUnsent = func(s *Slot, _ int, _ error) { f(s) }
	},
}

func TestFunctionsOfOptionsMayAskForAnything(t *testing.T) {
	asks := map[string]func(s *Slot){
		"Retry":          (*Slot).Retry,
		"Reconnect":      (*Slot).Reconnect,
		"Stop":           (*Slot).Stop,
		"Stop, Resume":   func(s *Slot) { s.Stop(); s.Resume() },
		"Remove":         (*Slot).Remove,
		"Abort":          (*Slot).Abort,
		"Resize":         func(s *Slot) { s.Group().Resize(0) },
		"Remove and Add": func(s *Slot) { s.Remove(); s.Group().Add(s.Key(), SlotOptions{}) },
	}
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		server.OnConn = func(c *websock.Conn) { c.SendText([]byte("hello")) }
		for function, set := range eachFunction {
			for what, ask := range asks {
				t.Run(function+"/"+what, func(t *testing.T) {
					o := Options{Targets: targetsFor(transport, server.url())}
					var first *Slot
					asked := make(chan struct{})
					set(&o, func(s *Slot) {
						if s.Context().Err() != nil {
							t.Error("a call after the end")
						}
						if first == s {
							first = nil
							ask(s)
							close(asked)
						}
					})
					g := startEmpty(t, o)
					first = g.newSlot("a")
					s := first
					if err := g.admit(s); err != nil {
						t.Fatal(err)
					}
					g.enqueue(s)
					g.doneRunning()
					<-asked
					switch what {
					case "Stop":
						waitUntil(t, "it has stopped", func() bool { return s.State() == Stopped })
						s.Resume()
						waitAllUp(t, g)
					case "Remove", "Abort", "Resize":
						waitEnded(t, s, ErrRemoved)
					default:
						waitUntil(t, "it is up", func() bool { return g.Find("a").State() == Up })
					}
					waitUntil(t, "no other connection is left", func() bool { return len(server.all()) <= g.Len() })
				})
			}
		}
	})
}

// Whatever several goroutines do to the slots of a Group, nothing is left of those that were removed, no
// key has two connections, and the counts add up.
func TestRandomChangesOfMembership(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		for round := range 4 {
			good, faulty := newTestServer(t), faultyServer(t)
			checkKeys(t, good)
			var over atomic.Bool
			called := func(s *Slot) {
				if s.Context().Err() != nil && !over.Load() || over.Load() {
					t.Error("a call after the end")
				}
			}
			o := withKey(Options{
				Targets:    targetsFor(transport, good.url()),
				Size:       5,
				SendBuffer: 1000, QueueBudget: 1 << 20,
				Pace:      Pace{Rate: -1, Handshakes: 8},
				Backoff:   Backoff{Base: time.Millisecond, Max: 5 * time.Millisecond},
				OnMessage: func(s *Slot, _ websock.Opcode, _ []byte) { called(s) },
				OnDown:    func(s *Slot, _ error, _ time.Duration) { called(s); s.SendText([]byte("later")) },
				OnUnsent:  func(s *Slot, _ int, _ error) { called(s) },
			})
			g, err := Start(o)
			if err != nil {
				t.Fatal(err)
			}
			var changing sync.WaitGroup
			for range 4 {
				changing.Go(func() {
					for range 150 {
						changeSomething(t, g, targetsFor(transport, faulty))
						if rand.N(8) == 0 {
							time.Sleep(time.Duration(rand.N(500)) * time.Microsecond)
						}
					}
				})
			}
			if round%2 == 0 {
				changing.Wait()
				for s := range g.Slots() {
					s.Remove()
				}
				waitUntil(t, "all have ended", func() bool { return g.Stats().Ending == 0 })
				if s := g.Stats(); g.Len() != 0 || s.Waiting+s.Connecting+s.Up+s.Stopped != 0 {
					t.Errorf("%d slots: %+v", g.Len(), s)
				}
				waitUntil(t, "no connection is left", func() bool { return len(good.all()) == 0 })
			} else {
				time.Sleep(time.Duration(rand.N(20)) * time.Millisecond)
			}
			shutdown(t, g)
			over.Store(true)
			changing.Wait()
			waitUntil(t, "all have ended", func() bool { return g.Stats().Ending == 0 })
			s := g.Stats()
			failed := uint64(0)
			for _, n := range s.Failed {
				failed += n
			}
			if s.Waiting+s.Connecting+s.Up+s.Ending != 0 || s.Stopped != g.Len() || s.Attempts != s.Ready+failed || s.Ready != totalLost(s) {
				t.Errorf("round %d: %d slots, %+v", round, g.Len(), s)
			}
			if used := g.budget.used.Load(); used != 0 || len(g.members.ending) != 0 {
				t.Errorf("round %d: %d bytes of the budget are used, %d slots are ending", round, used, len(g.members.ending))
			}
		}
	})
}

// changeSomething does one thing to a Group, at random.
func changeSomething(t *testing.T, g *Group, faulty []Target) {
	key := fmt.Sprint("key ", rand.N(12))
	some := func(do func(*Slot)) {
		if s := g.Slot(rand.N(12)); s != nil {
			do(s)
		}
	}
	switch rand.N(16) {
	case 0, 1, 2:
		if _, err := g.Add(key, SlotOptions{Topics: []string{"news"}}); err != nil && err != ErrKeyInUse && err != ErrClosed {
			t.Error(err)
		}
	case 3:
		g.Add("faulty "+key, SlotOptions{Targets: faulty})
	case 4, 5:
		if err := g.Remove(key); err != nil && err != ErrUnknownKey {
			t.Error(err)
		}
	case 6:
		some((*Slot).Remove)
	case 7:
		some((*Slot).Abort)
	case 8:
		some((*Slot).Stop)
	case 9:
		some((*Slot).Resume)
	case 10:
		some((*Slot).Reconnect)
	case 11:
		some((*Slot).Retry)
	case 12:
		g.Resize(5 + rand.N(10))
	case 13:
		g.Broadcast(websock.OpText, []byte("to all"))
	case 14:
		g.Publish("news", websock.OpText, []byte("to some"))
	case 15:
		g.Stats()
	}
}

// What was sent before is written, whatever the transport, before the connection is closed.
func TestAConnectionIsDrainedBeforeItIsClosed(t *testing.T) {
	for name, ask := range map[string]func(*Slot){"Stop": (*Slot).Stop, "Reconnect": (*Slot).Reconnect, "Remove": (*Slot).Remove} {
		t.Run(name, func(t *testing.T) {
			eachCarrier(t, func(t *testing.T, transport websock.Transport) {
				const messages = 200
				server := newTestServer(t)
				var got atomic.Int32
				closed := make(chan error, 2)
				server.OnMessage = func(_ *websock.Conn, op websock.Opcode, _ []byte) {
					if op == websock.OpBinary { // a text is sent after the end, and the next connection may carry it
						got.Add(1)
					}
				}
				server.OnEnd = func(_ *websock.Conn, err error) { closed <- err }
				type down struct {
					err  error
					next time.Duration
				}
				downs := make(chan down, 2)
				targets := targetsFor(transport, server.url())
				targets[0].Config.Limits.SendQueue = 2 * messages * 5000
				g := startGroup(t, Options{
					Targets: targets,
					Backoff: Backoff{Base: time.Hour, Max: time.Hour},
					OnDown:  func(_ *Slot, err error, next time.Duration) { downs <- down{err, next} },
				})
				waitAllUp(t, g)
				s := g.Slot(0)
				for range messages {
					if err := s.SendBinary(make([]byte, 5000)); err != nil {
						t.Fatal(err)
					}
				}
				ask(s)
				if err := s.SendText(nil); name != "Reconnect" && err == nil { // which may have connected again
					t.Error("a message is accepted after the end")
				}
				if err := <-closed; closeCodeOf(err) != websock.CloseNormal || got.Load() != messages {
					t.Errorf("%d messages, then %v", got.Load(), err)
				}
				want := map[string]time.Duration{"Stop": never, "Reconnect": 0, "Remove": never}[name]
				if d := <-downs; ReasonOf(d.err) != Ended || d.next != want || s.Failures() != 0 {
					t.Errorf("%v, next %v, %d failures", d.err, d.next, s.Failures())
				}
				switch name {
				case "Stop":
					waitUntil(t, "it has stopped", func() bool { return s.State() == Stopped })
					if s.Retry(); s.State() != Stopped || s.SendText(nil) != ErrDown {
						t.Error(s.State())
					}
					s.Resume()
					waitAllUp(t, g)
				case "Reconnect":
					waitAllUp(t, g)
				case "Remove":
					waitEnded(t, s, ErrRemoved)
				}
			})
		})
	}
}

// While a connection is being closed, sends say why they are refused.
func TestSendsAreRefusedWhileAConnectionIsDrained(t *testing.T) {
	eachCarrier(t, func(t *testing.T, transport websock.Transport) {
		server := newTestServer(t)
		read := server.readNothing()
		server.OnMessage = func(*websock.Conn, websock.Opcode, []byte) {}
		targets := targetsFor(transport, server.url())
		targets[0].Config.NetDial = dialSmallBuffer
		targets[0].Config.Limits.CloseTimeout = time.Hour
		g := startGroup(t, Options{Targets: targets, Size: 3, Ping: -1, SendBuffer: 1000})
		waitAllUp(t, g)
		slots := slices.Collect(g.Slots())
		for _, s := range slots {
			for s.SendBinary(make([]byte, 64<<10)) == nil {
			}
		}
		slots[0].Stop()
		slots[1].Reconnect()
		slots[2].Remove()
		for i, want := range []error{ErrDown, ErrDown, ErrRemoved} {
			if err := slots[i].SendText(nil); err != want || slots[i].State() != Up {
				t.Errorf("%v, %v", err, slots[i].State())
			}
		}
		if d := g.Broadcast(websock.OpText, nil); d != (Delivery{Down: 2}) {
			t.Errorf("%+v", d)
		}
		if s := g.Stats(); s.Up != 2 || s.Ending != 1 {
			t.Errorf("%+v", s)
		}
		read()
		waitUntil(t, "the first has stopped", func() bool { return slots[0].State() == Stopped })
		waitUntil(t, "the second is up again", func() bool { return slots[1].SendText(nil) == nil && slots[1].State() == Up })
		waitEnded(t, slots[2], ErrRemoved)
	})
}

// A connection that is closed for one slot has CloseTimeout, also if its peer doesn't read what was sent before.
func TestAPeerThatDoesNotReadHasOnlyCloseTimeout(t *testing.T) {
	for name, ask := range map[string]func(*Slot){"Stop": (*Slot).Stop, "Reconnect": (*Slot).Reconnect, "Remove": (*Slot).Remove} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) {
					return servePipe(func(net.Conn) { time.Sleep(time.Hour) }), nil
				})
				targets := d.targets("a")
				targets[0].Config.Limits.CloseTimeout = 5 * time.Second
				down := make(chan error, 10)
				g, shutDown := startInBubble(t, Options{Targets: targets, Ping: -1, OnDown: func(_ *Slot, err error, _ time.Duration) { down <- err }})
				defer shutDown()
				waitAllUp(t, g)
				s := g.Slot(0)
				if err := s.SendBinary(make([]byte, 64<<10)); err != nil {
					t.Fatal(err)
				}
				synctest.Wait() // it is being sent
				began := time.Now()
				ask(s)
				if err := <-down; ReasonOf(err) != Ended || time.Since(began) != 5*time.Second {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
			})
		})
	}
}

func TestSetRateTakesEffectAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDialer(func(context.Context, string, int) (net.Conn, error) { return nil, errRefused })
		g, shutDown := startInBubble(t, Options{Targets: d.targets("a"), Size: 50, Pace: Pace{Rate: 0.001}, Backoff: Backoff{Base: time.Hour, Max: time.Hour}, Permanent: func(error) bool { return true }})
		defer shutDown()
		time.Sleep(time.Second) // 1 dial at 0, the next one would be at 1000 s
		g.SetRate(10)
		time.Sleep(time.Second + time.Millisecond) // 10 dials
		g.SetRate(math.NaN())
		g.SetRate(2)
		time.Sleep(2 * time.Second) // 4 dials, or 5
		g.SetRate(0)                // DefaultRate
		time.Sleep(100 * time.Millisecond)
		var counts []int
		times := d.times()
		for _, until := range []time.Duration{time.Second, 2*time.Second + time.Millisecond, 4*time.Second + time.Millisecond, time.Hour} {
			n := 0
			for len(times) > 0 && times[0] <= until {
				n, times = n+1, times[1:]
			}
			counts = append(counts, n)
		}
		if counts[0] != 1 || counts[1] != 10 || counts[2] < 4 || counts[2] > 5 || counts[3] < 9 || counts[3] > 12 {
			t.Errorf("%v", counts)
		}
	})
}
