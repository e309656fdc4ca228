//go:build linux

package epoll

import "testing"

func TestTableFindsAConnectionByItsDescriptor(t *testing.T) {
	table := new(table)
	descriptors := []int{0, 1, len(page{}) - 1, len(page{}), 70000, maxDescriptor}
	conns := map[int]*Conn{}
	for _, fd := range descriptors {
		if table.get(fd) != nil {
			t.Errorf("an empty table has a connection at %d", fd)
		}
		conns[fd] = &Conn{}
		table.set(fd, conns[fd])
	}
	for _, fd := range descriptors {
		if table.get(fd) != conns[fd] {
			t.Errorf("wrong connection at %d", fd)
		}
	}
	table.set(1, nil)
	if table.get(1) != nil || table.get(0) != conns[0] {
		t.Error("not emptied, or another was")
	}
}
