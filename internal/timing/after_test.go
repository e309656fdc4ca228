package timing

import (
	"testing"
	"testing/synctest"
	"time"
)

// impatient is a visitor that wants to be visited a number of times.
type impatient struct {
	left int
	at   []time.Duration
	from time.Time
}

func (v *impatient) Visit() time.Duration {
	v.at = append(v.at, time.Since(v.from))
	v.left--
	if v.left == 0 {
		return 0
	}
	return time.Minute
}

func TestAfterKeepsToTheClockOfABubble(t *testing.T) {
	for range 2 {
		synctest.Test(t, func(t *testing.T) {
			v := &impatient{left: 2, from: time.Now()}
			After(time.Second, v)
			After(time.Hour, &impatient{left: 1}) // outlives the bubble
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			if len(v.at) != 2 || v.at[0] != time.Second || v.at[1] != time.Minute+time.Second {
				t.Errorf("%v", v.at)
			}
		})
	}
}
