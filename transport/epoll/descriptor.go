//go:build linux

package epoll

import (
	"math"
	"sync/atomic"
)

// uses counts the calls under way on a descriptor, so that it is closed by whoever
// uses it last: its number must not go to another socket while a call is under way.
type uses struct{ n atomic.Int32 }

const closedUses = math.MinInt32

// acquire begins a call. It returns false once the descriptor is closed.
func (u *uses) acquire() bool {
	for {
		n := u.n.Load()
		if n < 0 {
			return false
		}
		if u.n.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// release ends a call, and reports whether the descriptor is to be freed now.
func (u *uses) release() (last bool) { return u.n.Add(-1) == closedUses }

// close lets no further call begin, and counts as one itself, which release ends. It reports
// whether this was the first time, else there is nothing to release, and whether other calls
// are under way.
func (u *uses) close() (first, others bool) {
	for {
		n := u.n.Load()
		if n < 0 {
			return false, false
		}
		if u.n.CompareAndSwap(n, n+1+closedUses) {
			return true, n > 0
		}
	}
}

func (u *uses) closed() bool { return u.n.Load() < 0 }
