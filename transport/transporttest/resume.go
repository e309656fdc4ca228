package transporttest

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

// Resume has Readable called also if there is no pause and nothing has arrived.
func (s Suite) testResumeWakesAReceiverThatWaits(t *testing.T) {
	const size, resumers, calls = 100 << 10, 4, 50
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		r := &byteReceiver{}
		s.push(t, client, r)
		for i := range calls {
			if !r.resume() {
				t.Fatalf("Readable is not called after Resume, call %d", i)
			}
			if i%10 == 0 {
				time.Sleep(time.Millisecond) // so that the transport waits again
			}
		}
		r.conn.SetReadDeadline(time.Now().Add(time.Hour))
		var resuming sync.WaitGroup
		for range resumers {
			resuming.Go(func() {
				for range calls {
					if !r.resume() {
						t.Error("Readable is not called after one of several calls of Resume")
						return
					}
				}
			})
		}
		for n := 0; n < size; n += 1 << 10 {
			server.Write(numbered(n, 1<<10))
		}
		returns(t, "Resume", resuming.Wait)
		r.receives(t, size)
	})
}

func (s Suite) testResumeDuringReadableLeadsToAnother(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, _ := s.sockets(t, network)
		entered, release := make(chan bool), make(chan bool)
		var once sync.Once
		r := &byteReceiver{enter: func() {
			once.Do(func() {
				entered <- true
				<-release
			})
		}}
		s.push(t, client, r)
		wait(t, "Readable", entered)
		resumed := make(chan bool, 1)
		go func() { resumed <- r.resume() }()
		if !r.becomes(func() bool { return r.asked == 1 }) {
			t.Error("Resume waits for Readable")
		}
		close(release)
		if !wait(t, "Resume", resumed) {
			t.Error("Readable is not called again")
		}
	})
}

// However often Resume is called, a read deadline is neither lost nor reported too early.
func (s Suite) testResumeKeepsTheReadDeadline(t *testing.T) {
	s.eachNetwork(t, func(t *testing.T, network string) {
		client, server := s.sockets(t, network)
		r := &byteReceiver{}
		s.push(t, client, r)
		for n := range 20 { // a busy connection
			server.Write(numbered(n, 1))
			r.receives(t, n+1)
		}
		deadline := time.Now().Add(50 * time.Millisecond)
		r.conn.SetReadDeadline(deadline)
		for start := time.Now(); time.Since(start) < patience; time.Sleep(200 * time.Microsecond) {
			r.conn.(transport.Pusher).Resume()
			if len(r.finished) > 0 {
				break
			}
		}
		if err := wait(t, "the deadline", r.finished); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the end is %v", err)
		}
		if early := time.Until(deadline); early > 0 {
			t.Errorf("the deadline was reported %v early", early)
		}
		r.conn.(transport.Pusher).Resume() // after the end it does nothing
	})
}
