// Package readcount counts the read system calls of the process, for tests that a message takes one. It
// is for Linux.
package readcount
