// Package bounds holds fuzzed code to its promises: that it ends, and what memory it takes.
package bounds
