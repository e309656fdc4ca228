package live

import (
	"cmp"
	"maps"
	"slices"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// maxKinds is how many kinds of errors have a line.
const maxKinds = 8

// drawErrors draws how many errors there were and, beside that, of which kinds. If there are more kinds
// than lines, the last line has the rest, as many as fit.
func (s *state) drawErrors(a area) {
	st := good
	if s.Errors > 0 {
		st = bad
	}
	a.name(0, "errors", st, console.Grouped(s.Errors))
	p := a.picture()
	x, y := 0, 0
	for _, kind := range s.kinds() {
		n := console.Grouped(s.ErrorsByKind[kind])
		if x > 0 {
			x = p.put(x, y, label, ", ")
		}
		x = p.put(x, y, bad, n)
		x = p.put(x, y, plain, cut(" "+oneLine(kind), p.width-x))
		if y < p.height-1 {
			x, y = 0, y+1
		}
	}
}

// kinds returns the kinds of errors, the most frequent one first.
func (s *state) kinds() []string {
	kinds := slices.Collect(maps.Keys(s.ErrorsByKind))
	slices.SortFunc(kinds, func(a, b string) int {
		return cmp.Or(cmp.Compare(s.ErrorsByKind[b], s.ErrorsByKind[a]), cmp.Compare(a, b))
	})
	return kinds
}
