package live

import (
	"math"
	"strings"
)

// eighths are the characters of columns that are filled from below, by none to all of eight parts.
var eighths = [...]string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}

// columns draws values as columns, the first one at the left. The largest reaches nearly to the top of the
// area, so that it is apart from what is above. Those that are not 0 are seen.
func (a area) columns(values []float64, s style) {
	if len(values) > a.width {
		values = values[len(values)-a.width:]
	}
	top := 0.0
	for _, v := range values {
		top = max(top, v)
	}
	if top == 0 {
		return
	}
	const parts = len(eighths) - 1
	for x, v := range values {
		level := int(math.Round(v / top * float64(parts*a.height-1)))
		if v > 0 {
			level = max(level, 1)
		}
		for y := a.height - 1; y >= 0 && level > 0; y-- {
			a.put(x, y, s, eighths[min(level, parts)])
			level -= parts
		}
	}
}

// A share is a part of a bar.
type share struct {
	n     int64
	style style
	char  string
	name  string
}

// bar draws shares of a total beside each other, as wide as they are large. Each that is not 0 is seen, if
// there is room.
func (a area) bar(total int64, shares []share) {
	sum := int64(0)
	for _, s := range shares {
		sum += max(s.n, 0)
	}
	total = max(total, sum)
	x, done := 0, int64(0)
	for i, s := range shares {
		if s.n <= 0 {
			continue
		}
		done += s.n
		end := int(math.Round(float64(done) / float64(total) * float64(a.width)))
		following := 0
		for _, s := range shares[i+1:] {
			if s.n > 0 {
				following++
			}
		}
		end = max(min(end, a.width-following), x+1)
		a.part(x, 0, end-x, a.height).fill(s.style, s.char)
		x = min(end, a.width)
	}
}

// progress draws how much of something is done, from 0 to 1.
func (a area) progress(done float64) {
	halves := int(math.Round(min(max(done, 0), 1) * float64(2*a.width)))
	end := a.put(0, 0, good, strings.Repeat("━", halves/2))
	if halves%2 == 1 {
		end = a.put(end, 0, good, "╸")
	}
	a.put(end, 0, label, strings.Repeat("─", max(a.width-end, 0)))
}
