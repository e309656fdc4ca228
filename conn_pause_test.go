package websock

import (
	"strings"
	"testing"
	"time"
)

// A pausable is a script that can be paused. It writes down what it is told.
type pausable struct {
	script
	told    []string
	onPause func()
}

func (p *pausable) Pause() {
	if p.onPause != nil {
		p.onPause()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, "pause")
}

func (p *pausable) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told = append(p.told, "resume")
}

func (p *pausable) heard() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.told, " ")
}

func TestPauseLeavesTheRestOfTheViewToTheTransport(t *testing.T) {
	p := &pausable{}
	c := NewConn(p, Client, Options{})
	r := &recorder{onData: func(c *Conn, _ Header, _ []byte) { c.Pause() }}
	if err := c.SetHandler(r); err != nil {
		t.Fatal(err)
	}
	p.view = frames(Client, "text a; ping x; text b; text+ c; cont d")
	size := uint64(len(p.view))
	for _, want := range []string{"text a", "text a; text b", "text a; text b; text+ c", "text a; text b; text+ c; continuation d"} {
		if err := p.receiver.Readable(); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(r.events, "; "); got != want || !c.Paused() {
			t.Errorf("%q, paused %v; want %q", got, c.Paused(), want)
		}
		left := uint64(len(p.view))
		if st := c.Stats(); st.WireReceived != size-left {
			t.Errorf("%d bytes counted, %d taken", st.WireReceived, size-left)
		}
		c.Resume()
	}
	if got := p.heard(); got != strings.TrimSpace(strings.Repeat("pause resume ", 4)) {
		t.Errorf("the transport heard %q", got)
	}
}

func TestPauseAndResumeAreTwoOfAKind(t *testing.T) {
	p := &pausable{}
	c := NewConn(p, Client, Options{})
	c.Pause() // there is no Handler
	c.Resume()
	if c.Paused() || p.heard() != "" {
		t.Errorf("without a Handler: paused %v, %q", c.Paused(), p.heard())
	}
	c.SetHandler(&recorder{})
	c.Resume() // of no pause
	c.Pause()
	c.Pause()
	if !c.Paused() {
		t.Error("not paused")
	}
	c.Resume()
	c.Resume()
	if got := p.heard(); c.Paused() || got != "pause pause resume" {
		t.Errorf("paused %v, %q", c.Paused(), got)
	}
	c.Pause()
	c.Close()
	if got := p.heard(); !c.Paused() || got != "pause pause resume pause" {
		t.Errorf("Close ends no pause: paused %v, %q", c.Paused(), got)
	}
}

func TestResumeWhileAnotherPausesIsNotLost(t *testing.T) {
	p := &pausable{}
	c := NewConn(p, Client, Options{})
	c.SetHandler(&recorder{})
	resumed := make(chan struct{})
	p.onPause = func() {
		go func() {
			c.Resume()
			close(resumed)
		}()
		time.Sleep(20 * time.Millisecond) // it may come in between, but not get ahead
	}
	c.Pause()
	<-resumed
	if got := p.heard(); c.Paused() || got != "pause resume" {
		t.Errorf("paused %v, and the transport heard %q", c.Paused(), got)
	}
}

func TestWithoutAHandlerThereIsNoPause(t *testing.T) {
	p := &pausable{}
	c := NewConn(p, Client, Options{})
	c.Pause()
	if c.Paused() || p.heard() != "" {
		t.Errorf("paused %v, and the transport heard %q", c.Paused(), p.heard())
	}
	c.Resume()
}
