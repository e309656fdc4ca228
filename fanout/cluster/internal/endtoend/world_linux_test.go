package endtoend

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout/cluster"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/embedded"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/feed"
	"github.com/seed004e8d11/websock/internal/loopback"
)

// How large the tests are. docs/cluster-design.md tells of runs with 6000 keys.
var (
	keysFlag  = flag.Int("keys", 300, "keys of a cluster")
	rateFlag  = flag.Float64("rate", 150, "connections a second")
	leaseFlag = flag.Duration("lease", 8*time.Second, "lease of the members, unless a test says it")
	everyFlag = flag.Duration("every", 500*time.Millisecond, "time between two messages of the feed to each key")
	natsFlag  = flag.String("nats", "shared", "where members find NATS, unless a test says it: shared (one of them runs it), three (servers), peers (each member runs one)")
)

// begin skips a test that takes its time if such aren't wanted. Two small ones run at a time: mostly they
// wait.
func begin(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("it takes its time")
	}
	if !measures() {
		t.Parallel()
	}
}

// measures reports whether the tests are large ones, which a machine runs alone: only then it matters how long
// something takes.
func measures() bool { return *keysFlag >= 1000 }

// A world is a cluster of processes, and what there is around it.
type world struct {
	t       *testing.T
	feed    *feed.Server
	hosts   map[string]*host // where members run; nil: where the test runs
	config  memberConfig     // of each member, but for its name
	peers   []string         // where the embedded servers of a member each reach each other
	dirs    map[string]string
	members map[string]*process
	left    []memberReport // of members that have ended in an orderly way
	conn    *nats.Conn     // the test's own; nil before the first member has started
	sending func()         // stops it
}

// newWorld returns a world without members, that have no NATS.
func newWorld(t *testing.T) *world {
	t.Helper()
	f, err := feed.New("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return newWorldOf(t, f)
}

func newWorldOf(t *testing.T, f *feed.Server) *world {
	f.Grace = time.Second
	w := &world{t: t, feed: f, members: map[string]*process{}, dirs: map[string]string{}}
	t.Cleanup(f.Close)
	t.Cleanup(w.checkViolations)
	w.config = memberConfig{
		Cluster:    "test",
		Feed:       f.Addr(),
		Keys:       *keysFlag,
		Partitions: 128, // so many that checkSpread holds whatever the members' IDs are
		Lease:      *leaseFlag,
		Rate:       *rateFlag,
		Publish:    true,
	}
	return w
}

// useNATS has the members that start use servers of their own.
func (w *world) useNATS(n *natsServers) {
	w.config.URL, w.config.Replicas = n.url(), len(n.configs)
	w.conn = n.connect()
}

// useFlag has the members that start use NATS as natsFlag says.
func (w *world) useFlag() {
	switch *natsFlag {
	case "three":
		w.useNATS(startNATS(w.t, 3))
	case "peers":
		w.peers = loopback.Addresses(w.t, 3)
	default:
		w.config.Dir = w.t.TempDir()
	}
}

func (w *world) checkViolations() {
	violations := w.feed.Violations()
	for _, v := range violations[:min(len(violations), 20)] {
		w.t.Error(v)
	}
}

// start starts members, and waits until each has become one.
func (w *world) start(names ...string) {
	w.t.Helper()
	for i, name := range names {
		config := w.config
		config.Member = name
		if w.peers != nil {
			if w.dirs[name] == "" {
				w.dirs[name] = w.t.TempDir()
			}
			config.Dir, config.Peers, config.ClusterListen = w.dirs[name], w.peers, w.peers[name[0]-'a']
		}
		w.members[name] = launch(w.t, name, w.hosts[name], role{Member: &config})
		if i == 0 && w.peers == nil {
			w.started(name)
		}
	}
	for _, name := range names[min(1, len(names)):] {
		w.started(name)
	}
	if w.peers != nil {
		w.started(names[0])
	}
	w.connect()
}

func (w *world) started(name string) {
	w.t.Helper()
	if line := w.members[name].read(); line != "started" {
		w.t.Fatalf("%s says %q, but is to start", name, line)
	}
}

// connect connects the test to NATS, if it isn't.
func (w *world) connect() {
	w.t.Helper()
	if w.conn != nil {
		return
	}
	dir := w.config.Dir
	if w.peers != nil {
		dir = w.dirs["c"] // which isn't killed
	}
	w.waitUntil("NATS lets the test in", func() bool { // a server ends connections that take a while for that
		var err error
		w.conn, err = embedded.Connect(dir)
		return err == nil
	})
	w.t.Cleanup(w.conn.Close)
}

// settle waits until all keys are connected once, and no partition moves any more.
func (w *world) settle() {
	w.t.Helper()
	for _, p := range w.members {
		if line := p.ask(askToWait); line != askToWait {
			w.t.Fatalf("%s says %q, but is to wait until the cluster has settled", p.name, line)
		}
	}
	w.waitUntil("all keys are connected", w.complete)
}

// complete reports whether each key has one session, of a member that runs.
func (w *world) complete() bool {
	keys, by := w.feed.Connected()
	sessions := 0
	for name, n := range by {
		if sessions += n; w.members[name] == nil {
			return false
		}
	}
	return keys == w.config.Keys && sessions == w.config.Keys
}

func (w *world) waitUntil(what string, ok func() bool) (took time.Duration) {
	w.t.Helper()
	began := time.Now()
	for !ok() {
		if took = time.Since(began); took > patience {
			keys, by := w.feed.Connected()
			for _, p := range w.members {
				w.t.Logf("%s reports %s", p.name, p.lastWords())
			}
			w.t.Fatalf("waited too long until %s; %d keys are connected: %v", what, keys, by)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return time.Since(began)
}

// kill ends the process of a member as kill -9 does.
func (w *world) kill(name string) {
	w.members[name].kill()
	delete(w.members, name)
}

// leave ends a member in an orderly way.
func (w *world) leave(name string) {
	w.t.Helper()
	p := w.members[name]
	w.left = append(w.left, p.leave())
	delete(w.members, name)
}

// pause stops the process of a member; resume lets it go on.
func (w *world) pause(name string) {
	w.t.Helper()
	w.feed.SetPaused(name, true)
	w.members[name].signal(syscall.SIGSTOP)
}

func (w *world) resume(name string) {
	w.t.Helper()
	w.members[name].signal(syscall.SIGCONT)
}

// held returns how many keys a member has connected.
func (w *world) held(name string) int {
	_, by := w.feed.Connected()
	return by[name]
}

// sendNumbers has the feed send messages to all keys until the test ends, or stopSending.
func (w *world) sendNumbers() {
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		ticker := time.NewTicker(*everyFlag)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				w.feed.SendNumbers()
			case <-stop:
				return
			}
		}
	}()
	done := false
	w.sending = func() {
		if !done {
			done = true
			close(stop)
			<-stopped
		}
	}
	w.t.Cleanup(w.sending)
}

// sendThroughNATS sends a message to each key.
func (w *world) sendThroughNATS() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for i := range w.config.Keys {
		if err := cluster.Send(ctx, w.conn, w.config.Cluster, keyOf(i), websock.OpText, []byte("from NATS")); err != nil {
			w.t.Fatalf("sending to %s: %v", keyOf(i), err)
		}
	}
}

// askForEchoes has the feed ask for an echo on all connections.
func (w *world) askForEchoes() { w.feed.Broadcast(websock.OpText, []byte(askForEcho)) }

// checkSpread fails the test unless each member has about its share.
func (w *world) checkSpread() {
	w.t.Helper()
	_, by := w.feed.Connected()
	share := w.config.Keys / len(w.members)
	for name := range w.members {
		if by[name] < share/4 || by[name] > share*2 { // by chance it differs, the more the fewer partitions there are
			w.t.Errorf("%s has %d keys; all have %v", name, by[name], by)
		}
	}
	w.t.Logf("keys of each member: %v", by)
}

// checkRate fails the test if more connections were begun in some time than the rate allows. A second of
// a busy machine may be a short one: what was due in one begins in the next.
func (w *world) checkRate() {
	w.t.Helper()
	begun := w.feed.Opened()
	for _, seconds := range []int{1, 5} {
		window := time.Duration(seconds) * time.Second
		most := mostWithin(begun, window)
		limit := int(w.config.Rate*float64(seconds+1)) + 3 // one more of each member: a burst
		w.t.Logf("at most %d connections were begun in %v; the rate is %v a second", most, window, w.config.Rate)
		if most > limit {
			w.t.Errorf("%d connections were begun in %v, more than %d", most, window, limit)
		}
	}
}

// mostWithin returns how many of some times are within a window, at most.
func mostWithin(times []time.Time, window time.Duration) (most int) {
	slices.SortFunc(times, time.Time.Compare)
	first := 0
	for i := range times {
		for times[i].Sub(times[first]) >= window {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// logOverlap says for how long the feed has seen two connections of a key. It is the feed that reports those
// that have not ended after its Grace.
func (w *world) logOverlap() {
	w.t.Helper()
	w.t.Logf("two connections of a key were seen for at most %v", w.feed.LongestOverlap().Round(time.Microsecond))
}

// timeFor returns how long the cluster takes for a number of connections.
func (w *world) timeFor(connections int) time.Duration {
	return time.Duration(float64(connections) / w.config.Rate * float64(time.Second))
}

// checkTook fails a test that measures if something took more than twice as long as it should.
func (w *world) checkTook(what string, took, should time.Duration) {
	w.t.Helper()
	w.t.Logf("%s took %v; it should take %v", what, took.Round(time.Millisecond), should.Round(time.Millisecond))
	if measures() && took > 2*should {
		w.t.Errorf("%s took more than twice as long", what)
	}
}

// checkDown checks for how long a key that has moved was without a connection, which is what a move takes:
// what the receiver has to connect before, which is about a second of its share of the rate, and the
// partition itself.
func (w *world) checkDown() {
	w.t.Helper()
	partition := w.config.Keys/w.config.Partitions + 1
	w.checkTook("the slowest move of a key", w.feed.LongestDown(), 3*time.Second+3*w.timeFor(partition))
}

// sum adds up a count of all members, those that run and those that have left.
func (w *world) sum(count func(memberReport) uint64) (sum uint64) {
	w.t.Helper()
	for _, p := range w.members {
		sum += count(p.report())
	}
	for _, r := range w.left {
		sum += count(r)
	}
	return sum
}

func percent(part, whole int) string {
	return fmt.Sprintf("%.2f %%", 100*float64(part)/float64(cmp.Or(whole, 1)))
}
