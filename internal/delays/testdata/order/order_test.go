package order

import (
	"sync"
	"testing"
	"time"
)

// The test takes for granted that the goroutine does both steps before anybody looks. A pause between them, a few
// instructions apart, makes it fail.
func TestBothSteps(t *testing.T) {
	var mu sync.Mutex
	steps := 0
	step := func() {
		mu.Lock()
		defer mu.Unlock()
		steps++
	}
	done := func() int {
		mu.Lock()
		defer mu.Unlock()
		return steps
	}
	go func() {
		step()
		step()
	}()
	for done() == 0 {
		time.Sleep(time.Millisecond)
	}
	if done() != 2 {
		t.Error("only one step was done")
	}
}
