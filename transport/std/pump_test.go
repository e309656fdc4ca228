package std

import (
	"net"
	"testing"
	"time"
)

func TestResumeBeforePumpWaitsIsNotLost(t *testing.T) {
	for _, deadline := range []time.Time{{}, time.Now().Add(time.Hour)} {
		client, server := net.Pipe()
		defer server.Close()
		tr := New(client, nil)
		defer tr.Close()
		tr.SetReadDeadline(deadline)
		tr.Pause()
		tr.Resume()
		waited := make(chan bool, 1)
		go func() { waited <- (&pump{c: tr}).waitForWake() }()
		select {
		case resumed := <-waited:
			if !resumed {
				t.Error("the pause ended as if the deadline had passed")
			}
		case <-time.After(time.Minute):
			t.Errorf("with deadline %v: the pump still waits", deadline)
		}
	}
}

// A callCounter is a Receiver that counts calls of Readable.
type callCounter struct{ calls int }

func (c *callCounter) Readable() error { c.calls++; return nil }
func (c *callCounter) End(error)       {}
func (c *callCounter) Finish()         {}

func TestReadableIsCalledAfterPauseBeforeRead(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	tr := New(client, nil)
	defer tr.Close()
	var r callCounter
	p := &pump{c: tr, r: &r}
	tr.Pause()
	tr.Resume()
	if !p.prepareRead() || r.calls != 1 {
		t.Errorf("the receiver was called %d times", r.calls)
	}
}
