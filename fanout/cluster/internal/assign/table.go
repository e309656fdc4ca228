package assign

// A Table has the owner of each partition, as Owner finds it. Adding and removing a member costs no
// more than is needed: a score of each partition to add one, and scores of all members for each
// partition that a removed one had.
type Table struct {
	members map[string]*entry
	best    []score
}

type entry struct {
	candidate Candidate
	hash      uint64
	share     int
}

// NewTable returns the Table of that many partitions, without members.
func NewTable(partitions int) *Table {
	return &Table{members: map[string]*entry{}, best: make([]score, partitions)}
}

// Set adds a member, or gives it another weight. It reports whether that changes anything.
func (t *Table) Set(c Candidate) bool {
	if old := t.members[c.ID]; old != nil {
		if old.candidate.Weight == c.Weight {
			return false
		}
		t.Remove(c.ID)
	}
	e := &entry{candidate: c, hash: hash(c.ID)}
	t.members[c.ID] = e
	for p := range t.best {
		if s := scoreOf(p, e.hash, &e.candidate); s.better(t.best[p]) {
			t.count(t.best[p], -1)
			t.best[p] = s
			e.share++
		}
	}
	return true
}

// Remove removes a member, if there is one with that ID.
func (t *Table) Remove(id string) {
	removed := t.members[id]
	if removed == nil {
		return
	}
	delete(t.members, id)
	for p := range t.best {
		if t.best[p].of != &removed.candidate {
			continue
		}
		var best score
		for _, e := range t.members { // in any order: no two scores are equal
			if s := scoreOf(p, e.hash, &e.candidate); s.better(best) {
				best = s
			}
		}
		t.best[p] = best
		t.count(best, 1)
	}
}

func (t *Table) count(s score, by int) {
	if s.of != nil {
		t.members[s.of.ID].share += by
	}
}

// Owner returns the ID of the member that is to hold a partition, "" if none can.
func (t *Table) Owner(partition int) string { return t.best[partition].id() }

// Share returns how many partitions a member owns.
func (t *Table) Share(id string) int {
	if e := t.members[id]; e != nil {
		return e.share
	}
	return 0
}

// Empty reports whether no partition has an owner.
func (t *Table) Empty() bool { return len(t.best) == 0 || t.best[0].of == nil }
