package engine

import "sync/atomic"

// terms are what is settled when a connection begins. Connections in a row that have the
// same limits, don't compress and have no function of Options, share them in memory.
type terms struct {
	Limits
	compression *compression        // nil: none was agreed
	recover     func(*Conn, any)    // of Options
	onPing      func(*Conn, []byte) // of Options
}

// recentTerms are those of the last connection that has no others of its own.
var recentTerms atomic.Pointer[terms]

func settle(o *Options) *terms {
	t := &terms{Limits: o.Limits.WithDefaults(), compression: newCompression(o.Compression), recover: o.Recover, onPing: o.OnPing}
	if t.compression != nil || t.recover != nil || t.onPing != nil {
		return t
	}
	if recent := recentTerms.Load(); recent != nil && recent.Limits == t.Limits {
		return recent
	}
	recentTerms.Store(t)
	return t
}
