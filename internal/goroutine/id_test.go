package goroutine

import (
	"runtime"
	"sync"
	"testing"
)

func TestIDIsUniqueAndStable(t *testing.T) {
	const goroutines = 1000
	ids := map[uint32]bool{ID(): true}
	var mu sync.Mutex
	var identified, running sync.WaitGroup
	done := make(chan struct{})
	for range goroutines {
		identified.Add(1)
		running.Go(func() {
			id := ID()
			mu.Lock()
			ids[id] = true
			mu.Unlock()
			identified.Done()
			<-done
			runtime.Gosched()
			if again := deep(1000); again != id { // on a stack that has moved
				t.Errorf("%d, then %d", id, again)
			}
		})
	}
	identified.Wait()
	close(done)
	running.Wait()
	if len(ids) != goroutines+1 {
		t.Errorf("%d goroutines have %d IDs", goroutines+1, len(ids))
	}
}

func deep(n int) uint32 {
	var room [64]byte
	room[n%64] = 1
	if n == 0 {
		return ID()
	}
	return deep(n-1) + uint32(room[(n+1)%64])
}

func BenchmarkID(b *testing.B) {
	for b.Loop() {
		ID()
	}
}
