package leak

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// A lingering is a testing.M whose tests leave a goroutine for longer than goleak waits.
type lingering struct{}

func (lingering) Run() int {
	go time.Sleep(time.Second)
	return 0
}

func TestGoroutinesMayTakeSomeTimeToEnd(t *testing.T) {
	if code := (waiting{m: lingering{}}).Run(); code != 0 {
		t.Errorf("the tests pass with code %d", code)
	}
	if err := goleak.Find(); err != nil {
		t.Error(err)
	}
}
