// Package spare sets a file descriptor aside, so that a connection that is about to be dialled
// can be moved to a descriptor of an event loop's own even if the process has no other left by
// then.
package spare
