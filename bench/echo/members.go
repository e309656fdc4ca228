//go:build linux

package echo

import (
	"sync"
)

// members are the open connections of a server.
type members[C comparable] struct {
	mu   sync.Mutex
	open map[C]struct{}
	list []C // nil: not what is open any more
}

func (m *members[C]) join(c C) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open == nil {
		m.open = map[C]struct{}{}
	}
	m.open[c] = struct{}{}
	m.list = nil
}

func (m *members[C]) leave(c C) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.open, c)
	m.list = nil
}

// all returns the connections. The slice is not changed any more, so no lock is held while they are sent to.
func (m *members[C]) all() []C {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.list == nil {
		m.list = make([]C, 0, len(m.open))
		for c := range m.open {
			m.list = append(m.list, c)
		}
	}
	return m.list
}
