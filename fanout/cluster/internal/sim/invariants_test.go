package sim

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/assign"
	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
)

// A checker sees everything, and fails the world as soon as an invariant is broken.
type checker struct {
	w        *world
	holds    [][]hold            // by partition
	tokens   []hold              // by partition: the last
	owners   []owner             // by partition: as the record says
	sessions map[string]*session // by ID: those that there are, as the records say
	ended    map[uint64]*session // by revision: those that have ended

	assignments [][]string // the IDs that partitions belong to, one for each change of membership
	assigned    []int      // by partition: the assignment that its last move follows
	moves       []int      // by partition
	ready       []bool     // by partition: as the record says

	bins    []int           // attempts by time
	checked int             // bins that have been
	wakes   []time.Duration // when members have woken up

	down      []time.Duration // by partition: since when its keys are without connections; never: they have them
	takeovers []time.Duration
	opens     int
	drains    int
	cuts      int
	deaths    int // sessions that others have ended
	worst     float64
}

// A hold is a member that has, or may open, connections of a partition.
type hold struct {
	n        *node
	since    time.Duration
	token    uint64
	draining bool
}

// An owner is what the record of a partition says.
type owner struct {
	id      string
	session uint64
}

// A session is that of a member.
type session struct {
	n        *node
	id       string
	revision uint64
	weight   float64
	leaving  bool
	renewed  time.Duration
}

const bin = 10 * time.Millisecond

func newChecker(w *world) *checker {
	n := w.sc.partitions
	c := &checker{
		w: w, holds: make([][]hold, n), tokens: make([]hold, n), owners: make([]owner, n),
		sessions: map[string]*session{}, ended: map[uint64]*session{},
		assigned: make([]int, n), moves: make([]int, n), ready: make([]bool, n), down: make([]time.Duration, n),
	}
	for p := range c.down {
		c.down[p] = never
	}
	return c
}

// openedLocked: a partition is opened by the only one that may, with a token that is higher than those
// of all others before.
func (c *checker) openedLocked(n *node, p int, token uint64) {
	c.opens++
	if last := c.tokens[p]; token < last.token || token == last.token && n != last.n {
		c.w.failLocked("%s opens partition %d with token %d after %s with %d", n, p, token, last.n, last.token)
	}
	c.tokens[p] = hold{n: n, token: token}
	c.holds[p] = append(c.holds[p], hold{n: n, since: c.w.now(), token: token})
	c.oneHolderLocked(p)
	c.ratesLocked()
	if c.w.sc.overlap > 0 {
		c.w.afterLocked(c.overlapLocked(), func() { c.oneHolderLocked(p) })
	}
}

// oneHolderLocked: only one of the members that run has connections of a partition. Excused are those
// that were paused until just now, but they don't use the connections; those that make before they
// break, for Overlap; and, if they shall, those that don't know that their session has ended.
func (c *checker) oneHolderLocked(p int) {
	holds := c.holds[p]
	if len(holds) < 2 {
		return
	}
	now := c.w.now()
	newest := holds[len(holds)-1]
	strict := 0
	for _, h := range holds {
		if h.n.pausedLocked() {
			continue
		}
		owner := h == newest
		lost := c.sessionLocked(h) == nil
		if uses := h.n.usesLocked(p); uses && !owner && (lost && !c.w.sc.keep || c.w.sc.overlap == 0 && !c.w.sc.keep) {
			c.w.failLocked("%s uses partition %d, which %s has opened", h.n, p, newest.n)
		}
		switch {
		case owner:
		case now-h.n.wokenAt <= c.w.sc.margin:
			continue
		case c.w.sc.overlap > 0 && (h.draining || now-newest.since < c.overlapLocked()):
			continue
		case c.w.sc.keep && lost:
			continue // scanLocked sees how long
		}
		strict++
	}
	if strict > 1 {
		c.w.failLocked("partition %d has %d holders: %s", p, strict, c.holdersLocked(p))
	}
	excused := 0 // closing takes its time
	for _, h := range holds {
		lost := c.w.sc.keep && c.sessionLocked(h) == nil
		if h.draining || lost || h.n.pausedLocked() || now-h.n.wokenAt <= c.w.sc.margin {
			excused++
		}
	}
	if c.w.sc.overlap > 0 && len(holds)-excused > 2 {
		c.w.failLocked("partition %d has %d holders: %s", p, len(holds), c.holdersLocked(p))
	}
}

// overlapLocked returns how long two members may make before they break: with a clock that is slow, and
// what a member waits before it looks at a partition again.
func (c *checker) overlapLocked() time.Duration {
	return c.w.sc.overlap + c.w.sc.overlap/64 + c.w.sc.lease/100
}

func (c *checker) holdersLocked(p int) string {
	var names []string
	for _, h := range c.holds[p] {
		names = append(names, fmt.Sprintf("%s since %v, draining %v, paused %v", h.n, h.since, h.draining, h.n.pausedLocked()))
	}
	return strings.Join(names, "; ")
}

// sessionLocked returns the session with which a partition is held, nil if it has ended.
func (c *checker) sessionLocked(h hold) *session {
	for _, s := range c.sessions {
		if s.n == h.n && s.revision <= h.token {
			return s
		}
	}
	return nil
}

// usesLocked: a member that has woken up, and has not looked at anything yet, uses nothing that
// others hold, and nothing once its session has ended.
func (c *checker) usesLocked(n *node) {
	c.wakes = append(c.wakes, c.w.now())
	for p := range c.holds {
		i := slices.IndexFunc(c.holds[p], func(h hold) bool { return h.n == n })
		if i < 0 || !n.usesLocked(p) || c.w.sc.keep {
			continue
		}
		if i != len(c.holds[p])-1 && c.w.sc.overlap == 0 {
			c.w.failLocked("%s wakes up and uses partition %d, which others hold: %s", n, p, c.holdersLocked(p))
		}
		if c.sessionLocked(c.holds[p][i]) == nil {
			c.w.failLocked("%s wakes up and uses partition %d, although its session has ended", n, p)
		}
	}
	c.w.afterLocked(c.w.sc.margin+time.Millisecond, func() {
		for p := range c.holds {
			if slices.ContainsFunc(c.holds[p], func(h hold) bool { return h.n == n }) {
				c.oneHolderLocked(p)
			}
		}
	})
}

func (c *checker) drainsLocked(n *node, p int) {
	c.drains++
	for i := range c.holds[p] {
		if c.holds[p][i].n == n {
			c.holds[p][i].draining = true
		}
	}
}

func (c *checker) endedLocked(n *node, p int) {
	c.holds[p] = slices.DeleteFunc(c.holds[p], func(h hold) bool { return h.n == n })
	if len(c.holds[p]) == 0 && c.down[p] == never {
		c.down[p] = c.w.now()
	}
}

func (c *checker) cutsLocked(n *node) {
	c.cuts++
	for p := range c.holds {
		for i := range c.holds[p] {
			if c.holds[p][i].n == n {
				c.holds[p][i].draining = true
			}
		}
	}
}

func (c *checker) diedLocked(n *node) {
	for p := range c.holds {
		if slices.ContainsFunc(c.holds[p], func(h hold) bool { return h.n == n }) {
			c.endedLocked(n, p)
		}
	}
}

// connectedLocked is called when all keys of a partition are connected.
func (c *checker) connectedLocked(n *node, p int, at time.Duration) {
	if c.down[p] != never {
		c.takeovers = append(c.takeovers, at-c.down[p])
		c.down[p] = never
	}
}

// dialledLocked: a key is dialled by none but the last to open its partition.
func (c *checker) dialledLocked(n *node, p int, at time.Duration) {
	if newest := c.holds[p][len(c.holds[p])-1]; newest.n != n && !c.w.sc.keep && (c.w.sc.overlap == 0 || c.w.now()-newest.since > c.overlapLocked()) {
		c.w.failLocked("%s dials a key of partition %d, which is held by %s", n, p, c.holdersLocked(p))
	}
	i := int(at / bin)
	for len(c.bins) <= i {
		c.bins = append(c.bins, 0)
	}
	c.bins[i]++
}

// wroteLocked looks at a change of a record.
func (c *checker) wroteLocked(n *node, key string, value []byte, revision uint64) {
	if id, ok := strings.CutPrefix(key, "member."); ok {
		c.wroteMemberLocked(n, id, value, revision)
	}
	if number, ok := strings.CutPrefix(key, "part."); ok {
		p, err := strconv.Atoi(number)
		if err != nil || p < 0 || p >= len(c.owners) || value == nil {
			c.w.failLocked("%s writes %s", n, key)
			return
		}
		c.w.server.partWrites++
		c.wrotePartitionLocked(n, p, value)
	}
}

// wroteMemberLocked: nobody is declared dead who has renewed within Lease, and who is, uses nothing.
func (c *checker) wroteMemberLocked(n *node, id string, value []byte, revision uint64) {
	s := c.sessions[id]
	if value == nil && s == nil {
		return // of a tombstone
	}
	if value == nil {
		delete(c.sessions, id)
		c.ended[s.revision] = s
		c.w.logLocked("session %d of %s has ended", s.revision, s.n)
		if n != s.n {
			c.deaths++
			if age := c.w.now() - s.renewed; age < c.w.sc.lease-c.w.sc.lease/50 {
				c.w.failLocked("%s ends the session of %s, which it renewed %v ago", n, s.n, age)
			}
		}
		c.assignLocked()
		if !s.n.dead && !s.n.pausedLocked() && !c.w.sc.keep {
			for p := range c.holds {
				if c.owners[p].session == s.revision && s.n.usesLocked(p) {
					c.w.failLocked("%s uses partition %d, although its session has just ended", s.n, p)
				}
			}
		}
		return
	}
	var m machine.Member
	if err := json.Unmarshal(value, &m); err != nil {
		c.w.failLocked("%s writes %s: %v", n, value, err)
		return
	}
	if m.Dead {
		return // there can be none if there is a session
	}
	if s == nil {
		s = &session{n: n, id: id, revision: revision, weight: m.Weight, leaving: m.Leaving}
		c.sessions[id] = s
		c.assignLocked()
	} else {
		c.w.server.renewals++
		if m.Session != s.revision || n != s.n {
			c.w.failLocked("%s renews session %d of %s, which is %d", n, m.Session, s.n, s.revision)
		}
		if m.Leaving != s.leaving {
			s.leaving = m.Leaving
			c.assignLocked()
		}
	}
	s.renewed = c.w.now()
}

// assignLocked works out what belongs to whom from now on.
func (c *checker) assignLocked() {
	var members []assign.Candidate
	for _, s := range c.sessions {
		if !s.leaving {
			members = append(members, assign.Candidate{ID: s.id, Weight: assign.WeightOf(s.weight)})
		}
	}
	owners := make([]string, len(c.owners))
	for p := range owners {
		owners[p] = assign.Owner(p, members)
	}
	c.assignments = append(c.assignments, owners)
}

// openingLocked returns how long it takes to open everything from nothing.
func (c *checker) openingLocked() (longest time.Duration) {
	weights := 0.0
	for _, n := range c.w.liveLocked() {
		weights += n.weight
	}
	keys := map[string]int{}
	for p := range c.owners {
		keys[c.belongsLocked(p)] += c.w.sc.keysOf(p)
	}
	for id, keys := range keys {
		if s := c.sessions[id]; s != nil {
			seconds := float64(keys) / (c.w.sc.rate * s.weight / weights)
			longest = max(longest, time.Duration(seconds*float64(time.Second)))
		}
	}
	return longest
}

// belongsLocked returns the ID of the member that a partition belongs to, "" if there is none.
func (c *checker) belongsLocked(p int) string {
	if len(c.assignments) == 0 {
		return ""
	}
	return c.assignments[len(c.assignments)-1][p]
}

// wrotePartitionLocked: nobody but the holder hands over a partition, while its session lasts; and a
// partition moves only to whom it belongs at some change of membership after the one because of which
// it moved before.
func (c *checker) wrotePartitionLocked(n *node, p int, value []byte) {
	var r machine.Partition
	if err := json.Unmarshal(value, &r); err != nil {
		c.w.failLocked("%s writes %s: %v", n, value, err)
		return
	}
	before, after := c.owners[p], owner{r.Member, r.Session}
	c.ready[p] = r.Ready
	if before == after {
		return
	}
	c.owners[p] = after
	c.moves[p]++
	if s := c.sessions[before.id]; s != nil && s.revision == before.session && s.n != n {
		c.w.failLocked("%s takes partition %d from %s, which lives", n, p, s.n)
	}
	if c.w.sc.lossy.overwritten {
		return // what a member sees may be a membership that there never was
	}
	for c.assigned[p] < len(c.assignments) && c.assignments[c.assigned[p]][p] != r.Member {
		c.assigned[p]++
	}
	if c.assigned[p] == len(c.assignments) {
		c.w.failLocked("%s gives partition %d to %s: it belongs to %s", n, p, r.Member, c.belongsLocked(p))
	}
}

// scanLocked looks at what needs no looking at more often than now and then: the rate, and members that keep
// connections although their session has ended.
func (c *checker) scanLocked() {
	now := c.w.now()
	alive := 0
	for _, n := range c.w.nodes {
		n.holder.advanceLocked()
		if !n.dead || now-n.diedAt < 3*time.Second {
			alive++
		}
	}
	const window = int(time.Second / bin)
	limit := c.w.sc.rate + float64(alive) + 1
	if c.w.sc.keep { // a member that others think dead goes on
		limit *= 2
	}
	end := min(len(c.bins), int(now/bin))
	for i := max(c.checked+1, window); i <= end; i++ {
		sum := 0
		for _, attempts := range c.bins[i-window : i] {
			sum += attempts
		}
		limit := limit
		for len(c.wakes) > 0 && c.wakes[0] < time.Duration(i-window)*bin-catchUp {
			c.wakes = c.wakes[1:]
		}
		if len(c.wakes) > 0 && c.wakes[0] < time.Duration(i)*bin {
			limit += c.w.sc.rate * catchUp.Seconds()
		}
		c.worst = max(c.worst, float64(sum)/c.w.sc.rate)
		if float64(sum) > limit {
			c.w.failLocked("%d attempts in the second until %v: the rate is %v of %d members", sum, time.Duration(i)*bin, c.w.sc.rate, alive)
			return
		}
	}
	c.checked = end
	for p := range c.holds {
		if len(c.holds[p]) > 1 {
			c.oneHolderLocked(p)
		}
		for _, n := range c.w.nodes {
			if n.dead || n.pausedLocked() || !n.usesLocked(p) {
				continue
			}
			if !slices.ContainsFunc(c.holds[p], func(h hold) bool { return h.n == n }) {
				c.w.failLocked("%s may use partition %d, of which it has nothing", n, p)
			}
		}
	}
}

// ratesLocked: what members may dial that have something to dial is never more than Rate in sum.
func (c *checker) ratesLocked() {
	sum := 0.0
	for _, n := range c.w.nodes {
		if n.dead || n.pausedLocked() || n.holder.cutting || len(n.holder.parts) == 0 {
			continue
		}
		if c.w.now()-n.wokenAt < c.w.sc.margin {
			continue // it may have been declared dead
		}
		sum += n.holder.rate
	}
	if sum > c.w.sc.rate*1.000001 && !c.w.sc.keep {
		c.w.failLocked("members may dial %v a second, in sum: more than %v", sum, c.w.sc.rate)
	}
}

// settledLocked returns "" if everything is as it has to be when nothing has happened for long, or
// what isn't.
func (c *checker) settledLocked() string {
	for _, n := range c.w.nodes {
		n.holder.advanceLocked()
	}
	live := 0
	for _, n := range c.w.nodes {
		if n.state == running && !n.dead {
			live++
		}
	}
	if live != len(c.sessions) {
		return fmt.Sprintf("%d members run, there are %d sessions", live, len(c.sessions))
	}
	for _, s := range c.sessions {
		if s.leaving || s.n.dead {
			return fmt.Sprintf("%s has a session", s.n)
		}
	}
	if records := c.w.server.membersLocked(); records != live {
		return fmt.Sprintf("%d members run, there are %d records", live, records)
	}
	for p := range c.owners {
		id := c.belongsLocked(p)
		s := c.sessions[id]
		switch {
		case s == nil:
			return fmt.Sprintf("partition %d belongs to %q, which isn't there", p, id)
		case c.owners[p] != owner{id, s.revision}:
			return fmt.Sprintf("partition %d belongs to %s, its record says %v", p, s.n, c.owners[p])
		case len(c.holds[p]) != 1 || c.holds[p][0].n != s.n || c.holds[p][0].draining:
			return fmt.Sprintf("partition %d belongs to %s, it is held by %q", p, s.n, c.holdersLocked(p))
		case s.n.holder.parts[p].up < s.n.holder.parts[p].keys:
			return fmt.Sprintf("partition %d of %s has %d of %d keys", p, s.n, s.n.holder.parts[p].up, s.n.holder.parts[p].keys)
		case c.w.sc.overlap > 0 && !c.ready[p]:
			return fmt.Sprintf("partition %d of %s isn't ready", p, s.n)
		case !s.n.usesLocked(p):
			return fmt.Sprintf("%s has partition %d open, and thinks that it isn't", s.n, p)
		}
	}
	return ""
}

// leftLocked returns "" if nobody has connections, or a session, or who has.
func (c *checker) leftLocked() string {
	for p := range c.holds {
		if len(c.holds[p]) > 0 {
			return fmt.Sprintf("partition %d is held by %s", p, c.holdersLocked(p))
		}
	}
	for _, n := range c.w.nodes {
		if !n.dead {
			return fmt.Sprintf("%s runs", n)
		}
	}
	for id := range c.sessions {
		return id + " has a session"
	}
	return "" // tombstones may be left: nobody is there to remove them
}
