// Package bounds bounds the time and the memory that fuzzed code takes.
package bounds
