package machine

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
)

// A world has members, each a Machine with connections that are only counted, and a log of records that
// they write to and watch. Its time is simulated. Everything that a network and a scheduler may do to them,
// it does at random: messages are late or lost, members stand still, watches end, begin in the past, and
// leave out what was overwritten.
type world struct {
	rand    *rand.Rand
	now     time.Duration
	events  events
	ordinal int
	log     []Record // all that was ever written; its revision is the index + 1
	last    map[string]uint64
	members []*actor
	rate    float64
	lease   time.Duration
	faults  []string // broken promises
	trace   []string
	holds   []int // of each partition: how many members hold it, and have it open, in check
	open    []int

	delay time.Duration // of a message, at most
	lossy float64       // how likely a message is lost
	stale bool          // watches begin with the records of a moment in the past
}

type event struct {
	at      time.Duration
	ordinal int
	do      func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].ordinal < e[j].ordinal
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}

// An actor is a member in a world.
type actor struct {
	w        *world
	m        *Machine
	s        Settings
	offset   time.Duration // of its clock
	speed    float64
	paused   bool
	excused  bool     // it was paused, and may not have cut yet
	kept     []func() // inputs that came while it was paused
	away     bool     // it can't reach the log, nor the log it
	dead     bool
	exit     *Exit
	dialling float64

	open     []*connections // of each partition, or nil
	opened   int
	cutting  bool
	keys     int // of each partition
	backlog  int
	opens    int
	writing  map[string]bool
	watch    int // which
	watching bool
	position uint64 // of the watch
	deliver  bool   // a delivery is scheduled
	timer    int
	seen     map[State]bool
	state    State
}

type connections struct {
	token    uint64
	draining bool
	ceded    time.Duration // when the partition became another member's; 0: it has not
}

func newWorld(seed uint64) *world {
	return &world{
		rand: rand.New(rand.NewPCG(seed, 1)), last: map[string]uint64{}, rate: 100, lease: 10 * time.Second,
		delay: 20 * time.Millisecond,
	}
}

func (w *world) fault(format string, a ...any) {
	w.faults = append(w.faults, fmt.Sprintf("%v: ", w.now)+fmt.Sprintf(format, a...))
}

func (w *world) note(format string, a ...any) {
	w.trace = append(w.trace, fmt.Sprintf("%v: ", w.now)+fmt.Sprintf(format, a...))
}

func (w *world) after(d time.Duration, do func()) {
	w.ordinal++
	heap.Push(&w.events, event{w.now + d, w.ordinal, do})
}

func (w *world) run(d time.Duration) {
	end := w.now + d
	for len(w.events) > 0 && w.events[0].at <= end && len(w.faults) == 0 {
		e := heap.Pop(&w.events).(event)
		w.now = e.at
		e.do()
		w.check()
	}
	w.now = end
}

func (w *world) latency() time.Duration { return time.Duration(w.rand.Int64N(int64(w.delay))) }

// write does what a Store does.
func (w *world) write(a Write) (revision uint64, ok bool) {
	known := w.last[a.Key]
	deleted := known > 0 && w.log[known-1].Deleted
	if a.Last != known && !(a.Last == 0 && deleted) {
		return 0, false
	}
	if a.Value == nil && (known == 0 || deleted) {
		return 0, false
	}
	revision = uint64(len(w.log) + 1)
	w.log = append(w.log, Record{Key: a.Key, Value: slices.Clone(a.Value), Revision: revision, Deleted: a.Value == nil})
	w.last[a.Key] = revision
	w.note("log %d: %s %s (was %d)", revision, a.Key, a.Value, a.Last)
	for _, of := range w.members {
		of.schedule()
	}
	return revision, true
}

func (w *world) join(s Settings) *actor {
	a := &actor{
		w: w, m: New(s), s: s, offset: time.Duration(w.rand.Int64N(int64(time.Hour))), speed: 0.99 + 0.02*w.rand.Float64(),
		open: make([]*connections, s.Partitions), writing: map[string]bool{}, keys: 1, seen: map[State]bool{Joining: true},
	}
	w.members = append(w.members, a)
	a.openWatch()
	return a
}

// clock is the member's, which is neither right nor at the right speed.
func (a *actor) clock() time.Duration { return a.offset + time.Duration(float64(a.w.now)*a.speed) }

// input gives the machine an input, unless the member is paused or dead.
func (a *actor) input(name string, f func(now time.Duration) []Action) {
	if a.dead || a.exit != nil {
		return
	}
	if a.paused {
		a.kept = append(a.kept, func() { a.input(name, f) })
		return
	}
	before := a.m.state
	actions := slices.Clone(f(a.clock()))
	if a.state = a.m.state; a.state != before {
		a.w.note("%s: %s, %v -> %v", a.s.ID, name, before, a.state)
		if !leads(before, a.state, 3) {
			a.w.fault("%s went from %v to %v", a.s.ID, before, a.state)
		}
	}
	a.seen[a.state] = true
	for _, action := range actions {
		a.do(action)
	}
	next := a.m.Next()
	if next <= a.clock() && a.exit == nil {
		if strings.HasPrefix(name, "tick") {
			a.w.fault("%s: Next is %v ago after a Tick", a.s.ID, a.clock()-next)
		}
		next = a.clock()
	}
	a.timer++
	timer := a.timer
	a.w.after(min(time.Duration(float64(next-a.clock())/a.speed)+1, a.s.Margin/4), func() {
		if timer == a.timer {
			a.input("tick", a.m.Tick)
		}
	})
}

// leads reports whether a state may follow another one within some steps.
func leads(from, to State, steps int) bool {
	return from == to || steps > 0 && slices.ContainsFunc(states[from].next, func(next State) bool { return leads(next, to, steps-1) })
}

func (a *actor) do(action Action) {
	switch action := action.(type) {
	case Write:
		a.write(action)
	case Watch:
		a.openWatch()
	case Open:
		if a.cutting || a.open[action.Partition] != nil || !states[a.m.state].dials || a.dialling == 0 {
			a.w.fault("%s opens %d, which it must not", a.s.ID, action.Partition)
		}
		a.w.note("%s opens %d", a.s.ID, action.Partition)
		a.open[action.Partition] = &connections{token: action.Token}
		a.opened++
		a.opens++
		a.backlog += a.keys
		a.input("load", a.load)
		a.w.after(time.Duration(float64(a.keys)/a.dialling*1e9), func() {
			a.backlog -= a.keys
			a.input("load", a.load)
			a.input("settled", func(now time.Duration) []Action { return a.m.Settled(now, action.Partition) })
		})
	case Drain:
		c := a.open[action.Partition]
		if c == nil || c.draining {
			a.w.fault("%s drains %d, which isn't open", a.s.ID, action.Partition)
			return
		}
		a.w.note("%s drains %d", a.s.ID, action.Partition)
		c.draining = true
		a.w.after(time.Duration(a.w.rand.Int64N(int64(a.w.lease/10))), func() {
			if a.open[action.Partition] == c && !a.dead {
				a.open[action.Partition] = nil
				a.opened--
				a.input("ended", func(now time.Duration) []Action { return a.m.Ended(now, action.Partition) })
			}
		})
	case Cut:
		a.cutting = true
		a.w.after(time.Duration(a.w.rand.Int64N(int64(a.s.Margin/2))), func() {
			a.close()
			a.cutting, a.excused = false, false
			a.input("cut done", a.m.CutDone)
		})
	case SetRate:
		a.dialling = action.Rate
	case Exit:
		a.exit = &action
		if a.opened > 0 {
			a.w.fault("%s has left with %d open partitions", a.s.ID, a.opened)
		}
	case Event:
		a.w.note("%s: %v %+v", a.s.ID, action.Kind, action)
	}
}

func (a *actor) load(now time.Duration) []Action {
	return a.m.Load(now, Report{Keys: a.opened * a.keys}, a.backlog)
}

// write sends a write, which is done later, or not, or after its answer is no longer awaited.
func (a *actor) write(write Write) {
	w := a.w
	if a.writing[write.Key] {
		w.fault("%s: a second write of %s is begun", a.s.ID, write.Key)
	}
	a.writing[write.Key] = true
	answered := false
	answer := func(o Outcome, revision uint64) {
		if !answered {
			answered = true
			a.input("written "+write.Key, func(now time.Duration) []Action {
				delete(a.writing, write.Key)
				return a.m.Written(now, write.Key, o, revision)
			})
		}
	}
	w.after(a.s.Lease/5, func() { answer(Lost, 0) })
	there := w.latency()
	if w.rand.Float64() < w.lossy {
		there = time.Duration(w.rand.Int64N(int64(2 * w.lease))) // and nobody waits for it any more
	}
	w.after(there, func() {
		if a.away {
			return
		}
		outcome := Refused
		var revision uint64
		if w.rand.Float64() >= w.lossy/4 { // else there seemed to be another write, which has failed
			var ok bool
			if revision, ok = w.write(write); ok {
				outcome = Accepted
			}
		}
		if write.Value == nil {
			revision = 0
		}
		if w.rand.Float64() >= w.lossy {
			w.after(w.latency(), func() {
				if !a.away {
					answer(outcome, revision)
				}
			})
		}
	})
}

// openWatch begins a watch with the records of a moment that may be a little in the past.
func (a *actor) openWatch() {
	w := a.w
	a.watch++
	a.watching = false
	id, from := a.watch, len(w.log)
	if w.stale {
		from = max(0, from-w.rand.IntN(8))
	}
	w.after(w.latency(), func() {
		if id != a.watch || a.dead {
			return
		}
		if a.away {
			a.openWatch()
			return
		}
		latest := map[string]Record{}
		for _, r := range w.log[:from] {
			latest[r.Key] = r
		}
		var records []Record
		for _, r := range latest {
			if !r.Deleted {
				records = append(records, r)
			}
		}
		slices.SortFunc(records, func(x, y Record) int { return int(x.Revision) - int(y.Revision) })
		for _, r := range records {
			a.input("watched", func(now time.Duration) []Action { return a.m.Watched(now, r) })
			if id != a.watch {
				return
			}
		}
		a.input("snapshot", a.m.Snapshot)
		if id == a.watch {
			a.watching, a.position = true, uint64(from)
			a.schedule()
		}
	})
}

func (a *actor) loseWatch() {
	if a.watching {
		a.watching = false
		a.input("watch lost", a.m.WatchLost)
		a.openWatch()
	}
}

// schedule has the watch deliver what comes next, leaving out what was overwritten by then.
func (a *actor) schedule() {
	if a.deliver || !a.watching || a.position >= uint64(len(a.w.log)) {
		return
	}
	a.deliver = true
	a.w.after(a.w.latency(), func() {
		a.deliver = false
		if a.dead || a.away || !a.watching {
			return
		}
		for n := 1 + a.w.rand.IntN(4); n > 0 && a.watching && a.position < uint64(len(a.w.log)); {
			r := a.w.log[a.position]
			a.position++
			if a.w.last[r.Key] == r.Revision {
				n--
				a.input("watched", func(now time.Duration) []Action { return a.m.Watched(now, r) })
			}
		}
		a.schedule()
	})
}

// kill ends the process: its connections end with it.
func (a *actor) kill() {
	a.dead = true
	a.close()
}

func (a *actor) close() {
	clear(a.open)
	a.opened = 0
}

func (a *actor) pause(d time.Duration) {
	if a.paused || a.dead {
		return
	}
	a.w.note("%s is paused for %v", a.s.ID, d)
	a.paused, a.excused = true, true
	a.w.after(d, func() {
		a.paused = false
		kept := a.kept
		a.kept = nil
		if session := a.m.own.session; session != 0 && a.clock() < a.m.Deadline() {
			a.excused = false
		}
		a.input("tick after a pause", a.m.Tick)
		for _, f := range kept {
			f()
		}
	})
}

// cutOff has nothing go to the log and come from there for a time.
func (a *actor) cutOff(d time.Duration) {
	if a.away || a.dead {
		return
	}
	a.w.note("%s is cut off for %v", a.s.ID, d)
	a.away = true
	lose := a.w.rand.IntN(2) == 0
	if lose {
		a.loseWatch()
	}
	a.w.after(d, func() {
		a.away = false
		if a.w.rand.IntN(2) == 0 {
			a.loseWatch()
		}
		a.schedule()
	})
}

// check looks whether the promises are kept at this moment.
func (w *world) check() {
	w.holds, w.open = w.holds[:0], w.open[:0]
	for range w.members[0].open {
		w.holds, w.open = append(w.holds, 0), append(w.open, 0)
	}
	holds, open := w.holds, w.open
	rate := 0.0
	for _, a := range w.members {
		if a.dead || a.paused {
			continue
		}
		has := a.m.own.session != 0 && a.clock() < a.m.Deadline()
		if !has && a.s.KeepConnections { // it may go on until it hears that others have taken over
			a.excused = true
		} else if a.s.KeepConnections && a.state == Live {
			a.excused = false
		}
		if has && states[a.m.state].dials && a.exit == nil {
			rate += a.dialling
		}
		if a.opened == 0 {
			continue
		}
		for p, c := range a.open {
			if c == nil {
				continue
			}
			if !a.cutting && a.m.parts.all[p].state == Held {
				c.ceded = 0
			} else if !a.cutting && c.ceded == 0 && a.m.parts.all[p].state >= Ceding {
				c.ceded = w.now
			}
			if c.ceded != 0 { // another one's, perhaps, for a time that is bounded
				bound := time.Duration(float64(a.s.Overlap+a.s.Margin/4+2*time.Millisecond) / a.speed)
				if w.now > c.ceded+bound && !c.draining && !a.cutting {
					w.fault("%s still has %d, which it has ceded at %v", a.s.ID, p, c.ceded)
				}
				continue
			}
			if has && !a.cutting {
				holds[p]++
			}
			if !a.excused {
				open[p]++
			}
		}
	}
	for p, n := range holds {
		if n > 1 {
			w.fault("partition %d is held %d times", p, n)
		}
	}
	for p, n := range open {
		if n > 1 {
			w.fault("partition %d is open %d times", p, n)
		}
	}
	if rate > w.rate*(1+1e-9) && !w.stale {
		w.fault("%v connections may be dialled in a second", rate)
	}
}

// settled returns why not everything is as it is to be when nothing disturbs.
func (w *world) settled() (why []string) {
	open := make([]int, len(w.members[0].open))
	for _, a := range w.members {
		if a.dead || a.exit != nil {
			continue
		}
		if a.m.state != Live {
			why = append(why, fmt.Sprintf("%s is %v", a.s.ID, a.m.state))
		}
		for p, c := range a.open {
			if c == nil {
				continue
			}
			if owner := a.m.owners.Owner(p); owner != a.s.ID {
				why = append(why, fmt.Sprintf("%s has %d, which is to be %s's", a.s.ID, p, owner))
			}
			open[p]++
		}
	}
	for p := range w.members[0].s.Partitions {
		if open[p] != 1 {
			why = append(why, fmt.Sprintf("partition %d is open %d times", p, open[p]))
		}
	}
	return why
}

// A rig is one Machine and the store that it writes to, driven by hand.
type rig struct {
	t        testing.TB
	m        *Machine
	now      time.Duration
	revision uint64
	records  map[string]Record
	hold     bool    // writes are kept in pending, in place of being done, answered and delivered
	pending  []Write // in order
	mute     bool    // the watch delivers nothing
	keys     int     // that Load is told after each Open
	backlog  int
	did      []string
	events   []Event
	exit     *Exit
}

const (
	rigLease  = 10 * time.Second
	rigMargin = 2500 * time.Millisecond
)

func newRig(t *testing.T, change func(*Settings)) *rig {
	s := Settings{ID: "a", Weight: 1, Partitions: 8, Lease: rigLease, Margin: rigMargin, Rate: 100}
	if change != nil {
		change(&s)
	}
	return &rig{t: t, m: New(s), now: time.Hour, records: map[string]Record{}}
}

// in takes what the machine wants done, and does it.
func (r *rig) in(actions []Action) {
	r.t.Helper()
	for _, a := range slices.Clone(actions) {
		switch a := a.(type) {
		case Write:
			if r.hold {
				r.pending = append(r.pending, a)
			} else {
				r.finish(a)
			}
		case Watch:
			r.did = append(r.did, "watch")
			r.snapshot()
		case Open:
			r.did = append(r.did, fmt.Sprintf("open %d token %d", a.Partition, a.Token))
			r.load(r.keys, r.backlog)
		case Drain:
			r.did = append(r.did, fmt.Sprint("drain ", a.Partition))
		case Cut:
			r.did = append(r.did, "cut")
		case SetRate:
			r.did = append(r.did, fmt.Sprint("rate ", a.Rate))
		case Exit:
			r.exit = &a
		case Event:
			r.events = append(r.events, a)
		}
	}
}

// took returns what was done since it was called last, without writes.
func (r *rig) took() string {
	did := strings.Join(r.did, ", ")
	r.did = nil
	return did
}

func (r *rig) wants(want string) {
	r.t.Helper()
	if got := r.took(); got != want {
		r.t.Errorf("the machine did %q, not %q", got, want)
	}
}

func (r *rig) state(want State) {
	r.t.Helper()
	if r.m.state != want {
		r.t.Errorf("the member is %v, not %v", r.m.state, want)
	}
}

// finish does a write, if it may be done, and tells its outcome.
func (r *rig) finish(w Write) {
	r.t.Helper()
	record, ok := r.apply(w)
	switch {
	case !ok:
		r.in(r.m.Written(r.now, w.Key, Refused, 0))
	case w.Value == nil:
		r.in(r.m.Written(r.now, w.Key, Accepted, 0))
	default:
		r.in(r.m.Written(r.now, w.Key, Accepted, record.Revision))
	}
	if ok {
		r.deliver(record)
	}
}

// lose does a write or not, and tells that no answer came.
func (r *rig) lose(w Write, done bool) {
	r.t.Helper()
	var record Record
	var ok bool
	if done {
		if record, ok = r.apply(w); !ok {
			r.t.Fatalf("the write of %s can't be done", w.Key)
		}
	}
	r.in(r.m.Written(r.now, w.Key, Lost, 0))
	if done {
		r.deliver(record)
	}
}

func (r *rig) apply(w Write) (Record, bool) {
	old, ok := r.records[w.Key]
	if w.Last != old.Revision && !(w.Last == 0 && old.Deleted) || w.Value == nil && (!ok || old.Deleted) {
		return Record{}, false
	}
	return r.store(w.Key, w.Value), true
}

func (r *rig) store(key string, value []byte) Record {
	r.revision++
	record := Record{Key: key, Value: value, Revision: r.revision, Deleted: value == nil}
	r.records[key] = record
	return record
}

func (r *rig) deliver(record Record) {
	r.t.Helper()
	if !r.mute {
		r.in(r.m.Watched(r.now, record))
	}
}

// put has somebody else write a record: a string as it is, anything else as JSON. nil deletes it.
func (r *rig) put(key string, value any) (revision uint64) {
	r.t.Helper()
	var raw []byte
	switch value := value.(type) {
	case nil:
	case string:
		raw = []byte(value)
	default:
		var err error
		if raw, err = json.Marshal(value); err != nil {
			r.t.Fatal(err)
		}
	}
	record := r.store(key, raw)
	r.deliver(record)
	return record.Revision
}

// snapshot has a watch deliver all records.
func (r *rig) snapshot() {
	r.t.Helper()
	if r.mute {
		return
	}
	records := slices.SortedFunc(maps.Values(r.records), func(a, b Record) int { return int(a.Revision) - int(b.Revision) })
	for _, record := range records {
		if !record.Deleted {
			r.in(r.m.Watched(r.now, record))
		}
	}
	r.in(r.m.Snapshot(r.now))
}

// pass has time pass, and calls Tick as a driver does.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	for end := r.now + d; r.now < end; {
		next := min(r.m.Next(), r.now+rigMargin/4, end)
		if next <= r.now {
			next = r.now + 1
		}
		r.now = next
		r.in(r.m.Tick(r.now))
	}
}

func (r *rig) load(keys, backlog int) {
	r.t.Helper()
	r.in(r.m.Load(r.now, Report{Keys: keys}, backlog))
}

// own returns the member's own record.
func (r *rig) own() (record Member) {
	r.t.Helper()
	if err := json.Unmarshal(r.records["member.a"].Value, &record); err != nil {
		r.t.Fatalf("there is no record: %v", err)
	}
	return record
}

func (r *rig) part(n int) (record Partition) {
	r.t.Helper()
	if err := json.Unmarshal(r.records[partKeyOf(n)].Value, &record); err != nil {
		r.t.Fatalf("there is no record of partition %d: %v", n, err)
	}
	return record
}

// join has the member become one, alone or with those whose records are there, which have to know it.
func (r *rig) join() {
	r.t.Helper()
	r.snapshot()
	r.state(Live)
}

// joined returns a rig whose member is Live and holds all partitions, alone.
func joined(t *testing.T, change func(*Settings)) *rig {
	t.Helper()
	r := newRig(t, change)
	r.join()
	r.pass(time.Second)
	if got := r.m.parts.count[Held]; got != r.m.s.Partitions {
		t.Fatalf("the member holds %d partitions", got)
	}
	r.took()
	return r
}

// with returns the record of another member, which knows this one.
func (r *rig) with(change func(*Member)) Member {
	b := Member{Weight: 1, N: 1, Knows: []uint64{r.m.own.session}}
	if change != nil {
		change(&b)
	}
	return b
}

// ofB returns the partitions that are to be b's if there are a and b.
func ofB(n int) (partitions []int) {
	for p := range n {
		if assign.Owner(p, []assign.Candidate{{ID: "a", Weight: 1}, {ID: "b", Weight: 1}}) == "b" {
			partitions = append(partitions, p)
		}
	}
	return partitions
}
