// Package race deals with the race detector: it doesn't see what assembly reads and
// writes and has to be told, and it makes sync.Pool drop objects at random, so that
// tests can't count allocations under it.
package race
