//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import "sync"

// A freer gives operators back to their pollers, which may have to be waited for, in one
// goroutine that exists only while there are some.
type freer struct {
	mu      sync.Mutex
	watches []*watch
	running bool
}

// ended gives back the operators of all watches that have ended.
var ended freer

func (f *freer) add(w *watch) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watches = append(f.watches, w)
	if !f.running {
		f.running = true
		go f.run()
	}
}

func (f *freer) run() {
	for watches := f.take(); len(watches) > 0; watches = f.take() {
		for _, w := range watches {
			w.free()
		}
	}
}

// take returns the watches that were added, or ends the goroutine if there are none.
func (f *freer) take() []*watch {
	f.mu.Lock()
	defer f.mu.Unlock()
	watches := f.watches
	f.watches = nil
	f.running = len(watches) > 0
	return watches
}
