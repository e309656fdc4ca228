// Package timing does things at their times, for very many of them at little cost.
//
// A Wheel sorts items by the time at which they are due. A Scheduler runs tasks by means of a
// Wheel, one timer and one goroutine. After gives a task a timer of its own. An Instant is a time in
// little memory, and a Waiter lets a goroutine wait until one, or until another goroutine wakes it.
package timing
