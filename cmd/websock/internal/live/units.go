package live

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// rateText formats a rate, with a decimal if it is small.
func rateText(rate float64) string {
	if rate > 0 && rate < 10 {
		return strconv.FormatFloat(rate, 'f', 1, 64) + "/s"
	}
	return console.Grouped(rate) + "/s"
}

// bytesText formats bytes a second.
func bytesText(rate float64) string {
	for _, unit := range []string{"B", "kB", "MB"} {
		if rate < 1000 {
			return significant(rate) + " " + unit + "/s"
		}
		rate /= 1000
	}
	return significant(rate) + " GB/s"
}

// timeText formats a time that was measured, with three digits.
func timeText(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Millisecond:
		return strconv.FormatInt(d.Microseconds(), 10) + " µs"
	case d < time.Second:
		return significant(float64(d)/float64(time.Millisecond)) + " ms"
	}
	return significant(d.Seconds()) + " s"
}

// significant formats a number below 1000 with three digits.
func significant(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 9.995:
		return strconv.FormatFloat(x, 'f', 2, 64)
	case x < 99.95:
		return strconv.FormatFloat(x, 'f', 1, 64)
	}
	return strconv.FormatFloat(x, 'f', 0, 64)
}

// clock formats a time that passes.
func clock(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	if seconds < 3600 {
		return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
}
