package std

import (
	"net"
	"testing"
	"time"
)

func TestAResumeBeforeThePauseIsWaitedForIsNotLost(t *testing.T) {
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
		case goesOn := <-waited:
			if !goesOn {
				t.Error("the pause ended as if the deadline had passed")
			}
		case <-time.After(10 * time.Second):
			t.Errorf("with deadline %v: it still waits", deadline)
		}
	}
}

// A counter is a receiver that counts its calls.
type counter struct{ calls int }

func (c *counter) Readable() error { c.calls++; return nil }
func (c *counter) End(error)       {}
func (c *counter) Finish()         {}

func TestWhatAPauseHasLeftIsReceivedBeforeMoreIsRead(t *testing.T) {
	client, server := net.Pipe()
	defer server.Close()
	tr := New(client, nil)
	defer tr.Close()
	var r counter
	p := &pump{c: tr, r: &r}
	tr.Pause()
	tr.callAgain.Store(false) // the pump had just looked whether there was a pause
	tr.Resume()
	if !p.prepareRead() || r.calls != 1 {
		t.Errorf("the receiver was called %d times", r.calls)
	}
}
