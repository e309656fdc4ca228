// Package goroutine tells goroutines apart.
//
// Go has no name for a goroutine, so that no state is tied to one. A Conn needs it for one
// question only: does this send come from the Handler that is being called, so that it can
// leave together with others when the Handler returns, or from elsewhere, so that it must not
// wait for that? The alternatives are worse: to hold back no send costs a Handler that answers
// many messages a system call for each; a timer makes sends of other goroutines wait, and
// costs all others.
package goroutine
