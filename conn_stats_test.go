package websock

import (
	"reflect"
	"strings"
	"testing"
)

func TestStatsCountFramesAndBytes(t *testing.T) {
	const rounds = 5000
	round := frames(Client, "text Hello; ping x; bin+ a; pong ; cont bc")
	stream := []byte(strings.Repeat(string(round), rounds))
	want := Stats{
		MessagesReceived: 2 * rounds, FramesReceived: 3 * rounds, PayloadReceived: 8 * rounds, WireReceived: uint64(len(stream)),
		PingsReceived: rounds, PongsReceived: rounds,
		MessagesSent: 2, FramesSent: 3, PayloadSent: 8, WireSent: 5 + 6 + 1 + 6 + 2 + 6, Writes: 3,
	}
	for _, chunks := range [][][]byte{{stream}, {stream[:77777], stream[77777:]}} {
		for _, push := range []bool{false, true} {
			c, s := newScripted(Client, Limits{PongRate: 1})
			c.SendText([]byte("Hello"))
			c.SendFrame(OpBinary, false, []byte("a"))
			c.SendFrame(OpContinuation, true, []byte("bc"))
			if got := c.Stats(); got.MessagesSent != 2 || got.MessagesReceived != 0 {
				t.Errorf("before anything is received: %+v", got)
			}
			s.chunks = cloneAll(chunks)
			if push {
				c.SetHandler(&recorder{})
				s.play()
			} else {
				for err := error(nil); err == nil; {
					_, _, err = c.Recv(make([]byte, 100))
				}
			}
			got := c.Stats()
			if got.PongsSent == 0 {
				t.Error("no pong is counted")
			}
			got.WireSent -= 7 * got.PongsSent
			got.Writes, got.PongsSent = want.Writes, 0 // some are for pongs
			if got != want {
				t.Errorf("pushed %v:\n%+v, want\n%+v", push, got, want)
			}
		}
	}
}

func TestStatsCountBeyond32Bits(t *testing.T) {
	c, _ := newScripted(Client, Limits{})
	c.activate()
	for range 5 {
		c.receive.counts.addPayload(&Header{Fin: true}, 1<<30)
		c.receive.counts.wire += 1 << 30
	}
	c.publishCounts()
	if got := c.Stats(); got.PayloadReceived != 5<<30 || got.WireReceived != 5<<30 || got.MessagesReceived != 5 {
		t.Errorf("%+v", got)
	}
}

func TestStatsAreCompleteWhenTheConnectionEnds(t *testing.T) {
	ends := map[string][]byte{
		"a close frame":    frames(Client, "text a; text b; close "+closePayload(1000, "")),
		"a breach":         append(frames(Client, "text a; text b"), 0xff, 0),
		"end of the bytes": frames(Client, "text a; text b"),
	}
	for end, stream := range ends {
		c, _ := newScripted(Client, Limits{}, stream)
		for err := error(nil); err == nil; {
			_, _, err = c.RecvMessage(nil)
		}
		if got := c.Stats(); got.MessagesReceived != 2 || got.PayloadReceived != 2 || got.WireReceived != uint64(len(stream)) {
			t.Errorf("%s: %+v", end, got)
		}
	}
}

func TestStatsAddAddsEveryField(t *testing.T) {
	var sum, more Stats
	for v, i := reflect.ValueOf(&more).Elem(), 0; i < v.NumField(); i++ {
		v.Field(i).SetUint(uint64(i + 1))
	}
	sum.Add(more)
	sum.Add(more)
	for v, i := reflect.ValueOf(sum), 0; i < v.NumField(); i++ {
		if got, want := v.Field(i).Uint(), 2*uint64(i+1); got != want {
			t.Errorf("%s is %d, want %d", v.Type().Field(i).Name, got, want)
		}
	}
}

func TestOutgoingCountsTakenAndWaitingBytes(t *testing.T) {
	q := &fixedQueueTransport{scriptTransport: &scriptTransport{}, queued: 7, unacknowledged: 5}
	c := NewConn(q, Server, Options{})
	c.Cork()
	if err := c.SendBinary(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	if _, waiting := c.Outgoing(); waiting != 12+7+5 {
		t.Errorf("%d bytes wait", waiting)
	}
	if queued := c.Queued(); queued != 12+7 {
		t.Errorf("%d bytes are queued", queued)
	}
	c.Flush()
	if _, waiting := c.Outgoing(); waiting != 7+5 {
		t.Errorf("%d bytes wait after Flush", waiting)
	}
	if c.WritesBlock() {
		t.Error("writes block over a Queue")
	}
	if !NewConn(&scriptTransport{}, Client, Options{}).WritesBlock() { // it can't try
		t.Error("writes don't block")
	}
}

func TestStatsAreCompleteWhenCloseEndsReceiving(t *testing.T) {
	stream := frames(Client, "text a; text b")
	c, _ := newScripted(Client, Limits{}, stream)
	if _, _, err := c.RecvMessage(nil); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if _, msg, err := c.RecvMessage(nil); err == nil {
		t.Errorf("received %q after Close", msg)
	}
	if got := c.Stats(); got.MessagesReceived != 1 || got.PayloadReceived != 1 || got.WireReceived != uint64(len(stream)) {
		t.Errorf("%+v", got)
	}
}
