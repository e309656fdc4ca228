package chart

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// wellFormed fails the test if a text is no well-formed XML.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// seconds returns a chart of 10 s and up to 100.
func seconds() *Chart {
	return &Chart{Title: "Title", About: "About.", X: Time("time", 10*time.Second), Y: Counts("count", 100)}
}

func html(t *testing.T, c *Chart) string {
	t.Helper()
	got, err := c.HTML()
	if err != nil {
		t.Fatal(err)
	}
	wellFormed(t, string(got))
	return string(got)
}

func TestLinesGoThroughTheirPoints(t *testing.T) {
	c := seconds()
	c.Lines = []Series{{Name: "a", Colour: Vermilion, Dash: Dashed, Points: []Point{
		{0, 0}, {2.5, 50}, {5, math.NaN()}, {7.5, 100}, {10, 25},
	}}}
	// The SVG is 1000 wide and 400 high, and Y grows downwards.
	if text := html(t, c); !strings.Contains(text, `<path class="line c1 d1" d="M0 400L250 200M750 0L1000 300"/>`) {
		t.Error(text)
	}
}

func TestAreasLieOnTopOfEachOther(t *testing.T) {
	c := seconds()
	c.Stack = []Series{
		{Name: "below", Colour: Blue, Points: []Point{{0, 0}, {10, 50}}},
		{Name: "above", Colour: Grey, Points: []Point{{0, 100}, {10, 25}}},
	}
	text := html(t, c)
	for _, want := range []string{
		`<path class="area c0" d="M0 400L1000 200L1000 400L0 400Z"/>`,
		`<path class="area c6" d="M0 0L1000 100L1000 200L0 400Z"/>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	if strings.Index(text, "above</li>") > strings.Index(text, "below</li>") {
		t.Error("the legend is not in the order of the areas")
	}
}

func TestHeatMapColoursByTheLogarithmOfCounts(t *testing.T) {
	c := seconds()
	c.Cells = &HeatMap{Of: "answers", Cells: []Cell{
		{0, 1, 0, 10, 1}, {1, 2, 0, 10, 10}, {2, 3, 0, 10, 100}, {3, 4, 50, 100, 10_000_000}, {4, 5, 0, 10, 0}, {5, 6, 0, 10, 1},
	}}
	text := html(t, c)
	for _, want := range []string{
		`<path class="h0" d="M0 360h100v40H0M500 360h100v40H500"/>`,
		`<path class="h1" d="M100 360h100v40H100"/>`,
		`<path class="h2" d="M200 360h100v40H200"/>`,
		`<path class="h7" d="M300 0h100v200H300"/>`,
		"answers: 1 <svg", "10,000,000",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	for _, m := range []HeatMap{{}, {Cells: []Cell{{Count: 1}}}} {
		if got := m.level(1, m.largest()); got != levels-1 {
			t.Errorf("%d of %v", got, m)
		}
	}
}

func TestPartsAreMarkedWhereTheyBegin(t *testing.T) {
	c := seconds()
	c.Parts = []Part{{0, 0.5, "dialing"}, {0.5, 9, "exchanging"}, {9, 10, "closing"}}
	text := html(t, c)
	for _, want := range []string{
		`d="M50 0V400M900 0V400"`,
		`<div title="dialing" style="left:0%;width:5%"></div>`, // too narrow for its name
		`<div title="exchanging" style="left:5%;width:85%"><span class="">exchanging</span></div>`,
		`<div title="closing" style="left:90%;width:10%"></div>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
	c.Large = true
	if text := html(t, c); !strings.Contains(text, `<span class="minor">closing</span>`) {
		t.Error("the name has room in a large chart on a wide page")
	}
}

func TestTheTableIsShownBelowAndWhereItsRowsAre(t *testing.T) {
	c := seconds()
	c.Table = Table{Columns: []string{"until", "sent"}, Rows: []Row{{0, 2.5, []string{"2.5s", "12"}}, {2.5, 10, []string{"10s", "34"}}}}
	text := html(t, c)
	for _, want := range []string{
		"<rect class=\"hint\" x=\"0\" width=\"250\" height=\"400\"><title>until: 2.5s\nsent: 12\n</title></rect>",
		"<rect class=\"hint\" x=\"250\" width=\"750\" height=\"400\"><title>until: 10s\nsent: 34\n</title></rect>",
		`<th scope="col">until</th><th scope="col">sent</th>`,
		`<tr><th scope="row">10s</th><td>34</td></tr>`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %s", want, text)
		}
	}
}

func TestTheChartHasATextForThoseWhoDoNotSeeIt(t *testing.T) {
	if text := html(t, seconds()); !strings.Contains(text, `role="img" aria-label="Title. About."`) {
		t.Error(text)
	}
}

func TestHostileTextIsEscaped(t *testing.T) {
	const hostile = `</title></svg><script>alert("1")</script>' onload='x' {}:;url(http://evil.example)`
	c := &Chart{Title: hostile, About: hostile, X: Time(hostile, time.Second), Y: Counts(hostile, 1)}
	c.Parts = []Part{{0, 1, hostile}}
	c.Stack = []Series{{Name: hostile, Points: []Point{{0, 1}, {1, 1}}}}
	c.Lines = []Series{{Name: hostile, Points: []Point{{0, 1}, {1, 1}}}}
	c.Cells = &HeatMap{Of: hostile}
	c.Table = Table{Columns: []string{hostile}, Rows: []Row{{0, 1, []string{hostile}}}}
	text := html(t, c)
	for d := xml.NewDecoder(strings.NewReader(text)); ; {
		token, err := d.Token()
		if err != nil {
			break
		}
		if e, ok := token.(xml.StartElement); ok {
			if e.Name.Local == "script" || slices.ContainsFunc(e.Attr, func(a xml.Attr) bool { return a.Name.Local == "onload" }) {
				t.Fatalf("%+v", e)
			}
		}
	}
}

func TestAChartOfNothing(t *testing.T) {
	html(t, &Chart{X: Time("", 0), Y: Counts("", 0)})
	html(t, &Chart{X: Quantiles("", 0), Y: Durations("", 0, 0), Stack: []Series{{}}, Lines: []Series{{}}, Cells: &HeatMap{}})
}

// luminance returns the relative luminance of a colour like #1a43b8, as WCAG defines it.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	if len(colour) == 4 {
		colour = "#" + strings.Repeat(colour[1:2], 2) + strings.Repeat(colour[2:3], 2) + strings.Repeat(colour[3:4], 2)
	}
	n, err := strconv.ParseUint(strings.TrimPrefix(colour, "#"), 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	part := func(v uint64) float64 {
		c := float64(v&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(n>>16) + 0.7152*part(n>>8) + 0.0722*part(n)
}

func TestColoursHaveEnoughContrast(t *testing.T) {
	themes := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(string(Style), -1)
	if len(themes) != 2 {
		t.Fatalf("%d themes", len(themes))
	}
	for i, theme := range themes {
		colours := map[string]float64{}
		for _, c := range regexp.MustCompile(`--([a-z0-9]+): (#[0-9a-f]+);`).FindAllStringSubmatch(theme[1], -1) {
			colours[c[1]] = luminance(t, c[2])
		}
		contrast := func(a, b string) float64 {
			return (max(colours[a], colours[b]) + 0.05) / (min(colours[a], colours[b]) + 0.05)
		}
		atLeast := func(want float64, a, b string) {
			if got := contrast(a, b); got < want {
				t.Errorf("theme %d: %s on %s has a contrast of %.2f, want %v", i, a, b, got, want)
			}
		}
		for _, text := range []string{"text", "faint", "good", "bad"} {
			atLeast(4.5, text, "page")
			atLeast(4.5, text, "part")
		}
		for colour := Blue; colour <= Ink; colour++ {
			atLeast(3, "c"+strconv.Itoa(int(colour)), "page")
		}
		atLeast(2, "h0", "page")
		for level := 1; level < levels; level++ {
			if now, last := "h"+strconv.Itoa(level), "h"+strconv.Itoa(level-1); contrast(now, "page") < 1.1*contrast(last, "page") {
				t.Errorf("theme %d: %s is hardly another colour than %s", i, now, last)
			}
		}
	}
}
