package websock

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock/transport"
)

func TestReceivesAnswerPings(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		stream := frames(role, "ping ; text+ a; ping "+strings.Repeat("p", 125)+"; pong x; cont b")
		for _, chunks := range [][][]byte{{clone(stream)}, everyByte(clone(stream))} {
			c, s := newScripted(role, Limits{}, chunks...)
			_, msg, err := c.RecvMessage(nil)
			if string(msg) != "ab" || err != nil {
				t.Fatalf("%q, %v", msg, err)
			}
			if got, want := unframe(role, s.out), "pong; pong "+strings.Repeat("p", 125); got != want {
				t.Errorf("%v sent %q, want %q", role, got, want)
			}
			c.Recv(nil)
			if st := c.Stats(); st.PingsReceived != 2 || st.PongsReceived != 1 || st.PongsSent != 2 {
				t.Errorf("%+v", st)
			}
		}
	}
}

func TestPongsAreWrittenTogether(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "ping 1; ping 2; ping 3"))
	c.Recv(nil)
	if got := unframe(Client, s.out); got != "pong 1; pong 2; pong 3" || s.writes != 1 {
		t.Errorf("sent %q in %d writes", got, s.writes)
	}
}

func TestPingsAboveTheRateCollapseToTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScripted(Client, Limits{PongRate: 2}, frames(Client, "ping 1; ping 2; ping 3; ping 4; text x"))
		c.Recv(make([]byte, 1))
		if got := unframe(Client, s.out); got != "pong 1; pong 2" {
			t.Fatalf("sent %q", got)
		}
		time.Sleep(time.Second)
		c.SendText([]byte("y"))
		if got := unframe(Client, s.out); got != "pong 1; pong 2; text y; pong 4" && got != "pong 1; pong 2; pong 4; text y" {
			t.Errorf("sent %q", got)
		}
	})
}

func TestReceivingContinuesDuringABlockedWrite(t *testing.T) {
	s := &gatedTransport{begun: make(chan struct{}, 10), free: make(chan struct{}, 10)}
	var pings strings.Builder
	for i := range 5 {
		fmt.Fprintf(&pings, "ping %d; ", i)
	}
	s.chunks = [][]byte{frames(Client, pings.String()+"text x")}
	c := NewConn(s, Client, Options{})
	sent := make(chan error)
	go func() { sent <- c.SendBinary([]byte("big")) }()
	<-s.begun
	if _, msg, err := c.RecvMessage(nil); string(msg) != "x" || err != nil {
		t.Fatalf("%q, %v", msg, err)
	}
	close(s.free)
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if got := unframe(Client, s.out); got != "bin big; pong 4" {
		t.Errorf("sent %q, want the answer to the latest ping only", got)
	}
}

func TestNoPongAfterClose(t *testing.T) {
	c, s := newScripted(Client, Limits{}, frames(Client, "ping x"))
	c.Close()
	sent := len(s.out)
	c.Recv(nil)
	if len(s.out) != sent {
		t.Errorf("sent %q", unframe(Client, s.out))
	}
}

// A ping that can't be answered at once is answered together with the next send, or when the queue
// has room: a peer that waits for the pong need not wait for a send.
func TestAPingReceivedWhileTheQueueIsFullIsAnsweredLater(t *testing.T) {
	limits := Limits{SendQueue: 100, WhenFull: QueueRefuses}
	t.Run("pushed, when the transport says that there is room", func(t *testing.T) {
		c, d := opened(Client, limits)
		c.SetHandler(&recorder{})
		c.SendBinary(make([]byte, 100))
		d.chunks = [][]byte{frames(Client, "ping 1; ping 2"), frames(Client, "ping 3")}
		d.err = transport.ErrWouldBlock
		for range 2 {
			d.readable = true
			d.receiver.Readable()
		}
		if c.Stats().PongsSent != 0 {
			t.Error("the full queue takes pongs")
		}
		d.let(d.Queued())
		d.out = nil
		for range 2 { // once
			d.receiver.Readable()
		}
		d.let(d.Queued())
		if got := unframe(Client, d.out); got != "pong 3" {
			t.Errorf("sent %q, want the answer to the latest ping", got)
		}
	})
	t.Run("pulled, when something comes", func(t *testing.T) {
		c, d := opened(Client, limits)
		c.SendBinary(make([]byte, 100))
		d.chunks = [][]byte{frames(Client, "ping 1; ping 2; text a"), frames(Client, "text b"), frames(Client, "text c"), frames(Client, "text d")}
		for range 2 {
			c.RecvMessage(nil)
		}
		d.let(d.Queued())
		d.out = nil
		c.RecvMessage(nil)
		c.RecvMessage(nil)
		d.let(d.Queued())
		if got := unframe(Client, d.out); got != "pong 2" {
			t.Errorf("sent %q, want the answer to the latest ping", got)
		}
	})
}

func TestPongsHeldBackCountForTheSendQueue(t *testing.T) {
	const most, pings = 4 << 10, 1000
	flood := frames(Client, strings.Repeat("ping "+strings.Repeat("p", 120)+"; ", pings)+"text x; ping last")
	for name, begin := range map[string]func(c *Conn, s *scriptTransport){
		"under Cork, pulled": func(c *Conn, s *scriptTransport) {
			c.Cork()
			c.RecvMessage(nil)
			c.RecvTimeout(nil, 0)
		},
		"under Cork, pushed": func(c *Conn, s *scriptTransport) {
			c.Cork()
			c.SetHandler(&recorder{})
			s.readable = true
			s.receiver.Readable()
		},
	} {
		c, s := newScripted(Client, Limits{PongRate: -1, SendQueue: most}, clone(flood))
		s.err = transport.ErrWouldBlock
		begin(c, s)
		if waiting := len(c.batch.pending.B); waiting > most+200 || waiting < most-200 || len(s.out) > 0 {
			t.Errorf("%s: %d bytes wait, %d have left", name, waiting, len(s.out))
		}
		c.Flush()
		if got := unframe(Client, s.out); !strings.HasSuffix(got, "; pong last") {
			t.Errorf("%s: the latest ping isn't answered", name)
		}
	}
}

// A pongRecorder is a recorder that also records pongs.
type pongRecorder struct{ recorder }

func (r *pongRecorder) OnPong(c *Conn, payload []byte) {
	r.events = append(r.events, "pong "+string(payload))
}

func TestOnPongIsCalledInOrderWithOnData(t *testing.T) {
	c, s := newScripted(Client, Limits{}, everyByte(frames(Client, "text a; pong 1; text+ b; pong ; cont c; ping x"))...)
	r := &pongRecorder{}
	if err := c.SetHandler(r); err != nil {
		t.Fatal(err)
	}
	s.play()
	if want := []string{"text a", "pong 1", "text+ b", "pong ", "continuation c"}; !slices.Equal(r.events, want) {
		t.Errorf("%q, want %q", r.events, want)
	}
}

// A pinged is a Handler that records pings.
type pinged struct {
	Handler
	told []string
}

func (p *pinged) OnPing(_ *Conn, payload []byte) { p.told = append(p.told, string(payload)) }

func TestOnPongIsCalledWithThePayload(t *testing.T) {
	stream := frames(Client, "pong 1; ping 2; pong ")
	for _, pushed := range []bool{false, true} {
		var told []string
		s := &scriptTransport{chunks: [][]byte{clone(stream)}}
		c := NewConn(s, Client, Options{OnPong: func(_ *Conn, payload []byte) { told = append(told, "pong "+string(payload)) }})
		r := &pongRecorder{}
		if pushed {
			if err := c.SetHandler(r); err != nil {
				t.Fatal(err)
			}
			s.play()
		} else {
			c.RecvMessage(nil)
		}
		if want := []string{"pong 1", "pong "}; !slices.Equal(told, want) || pushed && !slices.Equal(r.events, want) {
			t.Errorf("with a Handler, %v: told of %q, the Handler of %q", pushed, told, r.events)
		}
	}
}

func TestOnPingIsCalledWithThePayload(t *testing.T) {
	stream := frames(Client, "ping ping")
	var told []string
	o := Options{OnPing: func(_ *Conn, payload []byte) { told = append(told, string(payload)) }}
	NewConn(&scriptTransport{chunks: [][]byte{stream}}, Client, o).RecvMessage(nil)
	if len(told) != 1 || told[0] != "ping" {
		t.Errorf("pulling: told of %q", told)
	}
	s := &scriptTransport{chunks: [][]byte{clone(stream)}}
	p := &pinged{Handler: Messages(func(*Conn, Opcode, []byte) {}, nil)}
	if err := NewConn(s, Client, Options{}).SetHandler(p); err != nil {
		t.Fatal(err)
	}
	s.play()
	if len(p.told) != 1 || p.told[0] != "ping" {
		t.Errorf("pushed: told of %q", p.told)
	}
}
