package member

import "time"

// A Clock tells the time since any fixed moment. It never goes back.
type Clock interface{ Now() time.Duration }

// Monotonic returns a Clock that is Go's: it stands still while the system is suspended.
func Monotonic() Clock { return monotonic{origin: time.Now()} }

type monotonic struct{ origin time.Time }

func (c monotonic) Now() time.Duration { return time.Since(c.origin) }
