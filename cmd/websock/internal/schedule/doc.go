// Package schedule says what is due when. It has no clock and no goroutine: times are durations since the
// same moment, and the caller says what time it is.
//
// A Beat is a regular sequence of times. A Queue holds what is due at any times, the earliest first.
package schedule
