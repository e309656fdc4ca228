package live

import "testing"

// drawn returns what draw puts on a canvas of a size.
func drawn(width, height int, draw func(area)) string {
	c := newCanvas(width, height)
	draw(c.all())
	return c.String()
}

func TestColumnsAreAsHighAsTheirValues(t *testing.T) {
	for _, test := range []struct {
		height int
		values []float64
		want   string
	}{
		{1, []float64{0, 1, 50, 100}, " ▁▄▇\n"},
		{2, []float64{0, 1, 50, 100}, "   ▇\n ▁██\n"},
		{1, []float64{9, 9, 9, 1, 2, 3, 4, 5}, "▁▃▄▆▇\n"}, // the latest
		{1, []float64{0, 0}, "\n"},
		{1, nil, "\n"},
	} {
		if got := drawn(5, test.height, func(a area) { a.columns(test.values, plain) }); got != test.want {
			t.Errorf("%+v: got\n%s", test, got)
		}
	}
}

func TestEveryShareOfABarIsSeen(t *testing.T) {
	for _, test := range []struct {
		total  int64
		shares []int64
		want   string
	}{
		{10, []int64{5, 3, 2}, "aaaaabbbcc\n"},
		{1000, []int64{998, 1, 1}, "aaaaaaaabc\n"},
		{1000, []int64{1, 0, 1}, "ac\n"},
		{1000, []int64{0, 0, 1000}, "cccccccccc\n"},
		{0, []int64{0, 0, 0}, "\n"},
		{5, []int64{10, 10, 0}, "aaaaabbbbb\n"}, // more than there should be
	} {
		got := drawn(10, 1, func(a area) {
			a.bar(test.total, []share{{test.shares[0], plain, "a", ""}, {test.shares[1], plain, "b", ""}, {test.shares[2], plain, "c", ""}})
		})
		if got != test.want {
			t.Errorf("%+v: got %s", test, got)
		}
	}
}

func TestProgressBar(t *testing.T) {
	for done, want := range map[float64]string{-1: "─────\n", 0: "─────\n", 0.5: "━━╸──\n", 0.6: "━━━──\n", 1: "━━━━━\n", 7: "━━━━━\n"} {
		if got := drawn(5, 1, func(a area) { a.progress(done) }); got != want {
			t.Errorf("%v: got %s", done, got)
		}
	}
}

func TestWideCharactersAreCutAtTheEdge(t *testing.T) {
	for text, want := range map[string]string{"世界": "世\n", "a世界": "a世\n", "abcd": "abc\n", "e\u0301x": "e\u0301x\n", "\u200bxy": "xy\n"} {
		if got := drawn(3, 1, func(a area) { a.put(0, 0, plain, text) }); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
