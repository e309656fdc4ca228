package chart_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/chart"
)

func Example() {
	c := chart.Chart{
		Title: "Messages a second",
		About: "10 in the end.",
		X:     chart.Time("time since the first dial", 10*time.Second),
		Y:     chart.Counts("messages", 10),
		Lines: []chart.Series{{Name: "sent", Colour: chart.Blue, Points: []chart.Point{{X: 0, Y: 0}, {X: 10, Y: 10}}}},
	}
	html, err := c.HTML()
	if err != nil {
		fmt.Println(err)
	}
	for line := range strings.Lines(string(html)) {
		if strings.Contains(line, "d0") {
			fmt.Print(line)
		}
	}
	// Output: <path class="line c0 d0" d="M0 400L1000 0"/>
}
