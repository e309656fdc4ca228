package assign

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func owners(partitions int, members []Candidate) (ids []string) {
	for p := range partitions {
		ids = append(ids, Owner(p, members))
	}
	return ids
}

// The owners were computed by another program, with exact fractions. All members of a cluster have to
// find the same ones, on whatever architecture.
func TestPartitionsHaveTheirRightOwners(t *testing.T) {
	candidates := func(weights ...float64) (members []Candidate) {
		for i, w := range weights {
			members = append(members, Candidate{string(rune('a' + i)), WeightOf(w)})
		}
		return members
	}
	for _, c := range []struct {
		members []Candidate
		want    string
	}{
		{candidates(1, 1, 1), "b a a a c a c b c c c c a a c c"},
		{candidates(0.5, 2, 1.25, 0), "b a b b c a b b c c c b b a c c"},
		{candidates(1e-5, 65536), "b b b b b b b b b b b b b b b b"},
		{candidates(7), "a a a a a a a a a a a a a a a a"},
	} {
		if got := strings.Join(owners(16, c.members), " "); got != c.want {
			t.Errorf("%v:\n got %s\nwant %s", c.members, got, c.want)
		}
		slices.Reverse(c.members)
		if got := strings.Join(owners(16, c.members), " "); got != c.want {
			t.Errorf("in another order, %v:\n got %s\nwant %s", c.members, got, c.want)
		}
	}
}

func TestNobodyOwnsAPartitionWithoutAWeight(t *testing.T) {
	for _, members := range [][]Candidate{nil, {{"a", 0}}, {{"a", 0}, {"b", WeightOf(math.NaN())}}} {
		if got := Owner(3, members); got != "" {
			t.Errorf("%v: %q owns it", members, got)
		}
	}
}

func TestWeightsAreKeptWithinBounds(t *testing.T) {
	for _, c := range []struct {
		w    float64
		want Weight
	}{
		{1, 1 << 16}, {0.5, 1 << 15}, {65536, MaxWeight}, {1e300, MaxWeight}, {math.Inf(1), MaxWeight},
		{1e-300, 1}, {math.SmallestNonzeroFloat64, 1}, {0, 0}, {-1, 0}, {math.Inf(-1), 0}, {math.NaN(), 0},
		{1.0 / 65536, 1}, {2.99999 / 65536, 2},
	} {
		if got := WeightOf(c.w); got != c.want {
			t.Errorf("WeightOf(%v) = %d, want %d", c.w, got, c.want)
		}
	}
	if got := WeightOf(1.5).Float(); got != 1.5 {
		t.Errorf("1.5 became %v", got)
	}
}

func TestLogarithmsAreCloseAndNeverZero(t *testing.T) {
	for _, c := range []struct{ h, want uint64 }{ // computed by another program
		{0, 0x400000000001},
		{math.MaxUint64, 3},
		{1 << 63, 0x10000000001},
		{0x123456789abcdef, 0x7d05412fb36},
		{0xfedcba9876543210, 0x1a53035ac},
	} {
		if got := negLog2(c.h); got != c.want {
			t.Errorf("negLog2(%#x) = %#x, want %#x", c.h, got, c.want)
		}
	}
	for i := range uint64(100_000) {
		h := mix(i) | 1
		want := 64 - math.Log2(float64(h))
		if got := float64(negLog2(h)) / (1 << logFraction); math.Abs(got-want) > 3e-6 {
			t.Fatalf("negLog2(%#x) is %v, not %v", h, got, want)
		}
	}
}

func TestMembersOwnPartitionsInProportionToTheirWeights(t *testing.T) {
	const partitions = 100_000
	members := []Candidate{{"a", WeightOf(1)}, {"b", WeightOf(2)}, {"c", WeightOf(0.5)}, {"d", WeightOf(10)}, {"e", 0}}
	count := map[string]int{}
	for _, id := range owners(partitions, members) {
		count[id]++
	}
	for _, m := range members {
		share := m.Weight.Float() / 13.5
		deviation := math.Sqrt(partitions * share * (1 - share))
		if got, want := float64(count[m.ID]), partitions*share; math.Abs(got-want) > 4*deviation {
			t.Errorf("%s owns %v partitions, %.0f expected", m.ID, got, want)
		}
	}
}

func TestOnlyWhatItMustMoves(t *testing.T) {
	const partitions = 4096
	var members []Candidate
	for i := range 50 {
		members = append(members, Candidate{fmt.Sprint("member-", i), WeightOf(float64(i%3) + 0.5)})
	}
	before := owners(partitions, members)
	joined := Candidate{"new", WeightOf(3)}
	gained := 0
	for p, owner := range owners(partitions, append(slices.Clone(members), joined)) {
		if owner == joined.ID {
			gained++
		} else if owner != before[p] {
			t.Errorf("a member joined, and partition %d moved from %s to %s", p, before[p], owner)
		}
	}
	if gained < 100 || gained > 220 { // 3/76.5 of them: 160
		t.Errorf("the member that joined got %d", gained)
	}
	left := members[7]
	for p, owner := range owners(partitions, slices.Delete(slices.Clone(members), 7, 8)) {
		if before[p] != left.ID && owner != before[p] {
			t.Errorf("%s left, and partition %d moved from %s to %s", left.ID, p, before[p], owner)
		}
	}
}

func TestATableHasTheOwnersOfItsMembers(t *testing.T) {
	const partitions = 256
	table := NewTable(partitions)
	members := map[string]Candidate{}
	check := func(step string) {
		t.Helper()
		var all []Candidate
		for _, c := range members {
			all = append(all, c)
		}
		share := map[string]int{}
		for p, want := range owners(partitions, all) {
			if got := table.Owner(p); got != want {
				t.Fatalf("after %s: %q owns partition %d, not %q", step, got, p, want)
			}
			share[want]++
		}
		for id := range members {
			if got := table.Share(id); got != share[id] {
				t.Fatalf("after %s: the share of %s is %d, not %d", step, id, got, share[id])
			}
		}
		if table.Empty() != (share[""] > 0) {
			t.Fatalf("after %s: Empty is %v", step, table.Empty())
		}
	}
	check("nothing")
	for i := range uint64(300) {
		c := Candidate{fmt.Sprint("m", mix(i)%12), Weight(mix(i+1000) % 3 << 16)}
		if mix(i+2000)%3 == 0 {
			table.Remove(c.ID)
			delete(members, c.ID)
			check("removing " + c.ID)
			continue
		}
		table.Set(c)
		members[c.ID] = c
		check(fmt.Sprint("setting ", c))
	}
}

func BenchmarkTableSet(b *testing.B) {
	table := NewTable(4096)
	for i := range 50 {
		table.Set(Candidate{fmt.Sprint(i), 1 << 16})
	}
	for b.Loop() {
		table.Set(Candidate{"new", 1 << 16})
		table.Remove("new")
	}
}
