package series

import (
	"sync"
	"time"
)

// A recorder keeps what is written. Once it has as many lines as it takes, writing fails with err, or, if
// that is nil, blocks until release is closed.
type recorder struct {
	takes   int
	err     error
	release chan struct{}

	mu    sync.Mutex
	lines []string
	at    []time.Time
}

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	full := len(r.lines) == r.takes
	r.mu.Unlock()
	if full && r.err != nil {
		return 0, r.err
	} else if full {
		<-r.release
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines, r.at = append(r.lines, string(p)), append(r.at, time.Now())
	return len(p), nil
}

func (r *recorder) written() ([]string, []time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lines, r.at
}
