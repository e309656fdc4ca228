// Package goroutine identifies goroutines, and makes room on their stacks.
//
// Go hides the identity of goroutines so that no state is tied to one. A Conn needs it for one
// decision: a send from the goroutine that runs the Handler can wait for the Handler to return, and
// then is written together with others; a send from any other goroutine must not wait for that. The
// alternatives are worse: without batching, a Handler that answers many messages makes a system call
// for each; with a timer, sends of other goroutines are delayed, and every batch costs a timer.
package goroutine
