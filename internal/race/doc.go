// Package race tells tests whether the race detector is on: it makes sync.Pool
// drop objects at random, so allocations can't be counted under it.
package race
