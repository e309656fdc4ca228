// Package race reports whether the race detector is on, and tells it what assembly reads and writes,
// which it can't see. Under the race detector sync.Pool drops objects at random, so that tests can't
// count allocations.
package race
