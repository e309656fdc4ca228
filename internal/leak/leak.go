// Package leak finds goroutines that the tests of a package leave behind.
package leak

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long goroutines of the last test may take to end. They wait for peers, for deadlines and for
// the processor.
const patience = time.Minute

// VerifyTestMain is goleak.VerifyTestMain, which waits for half a second only. Tests are run in any order, so any
// of them may be the last.
func VerifyTestMain(m *testing.M, options ...goleak.Option) {
	goleak.VerifyTestMain(waiting{m, options}, options...)
}

// A waiting is a testing.M whose Run returns when no goroutines are left, if all tests have passed.
type waiting struct {
	m       goleak.TestingM
	options []goleak.Option
}

func (w waiting) Run() (code int) {
	code = w.m.Run()
	for end := time.Now().Add(patience); code == 0 && goleak.Find(w.options...) != nil && time.Now().Before(end); {
	}
	return code
}
