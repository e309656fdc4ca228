package websock

import (
	"context"
	"crypto/tls"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/transport"
)

// A queuing is a script whose transport has queued something, and tells once that it can't be
// sent.
type queuing struct {
	*script
	queued, unacknowledged int
	failure                error
	state                  *tls.ConnectionState
}

func (q *queuing) View() ([]byte, error) {
	if err := q.failure; err != nil {
		q.failure = nil
		return nil, &transport.SendError{Err: err}
	}
	return q.script.View()
}

func (q *queuing) Read(p []byte) (int, error) {
	if err := q.failure; err != nil {
		q.failure = nil
		return 0, &transport.SendError{Err: err}
	}
	return q.script.Read(p)
}

func (q *queuing) Queued() int                                       { return q.queued }
func (q *queuing) Unacknowledged() int                               { return q.unacknowledged }
func (q *queuing) Queues() bool                                      { return false }
func (q *queuing) Drain(context.Context, int) error                  { return nil }
func (q *queuing) TryWrite(p []byte) (transport.PendingWrite, error) { return nil, q.Writev(p) }
func (q *queuing) TLS() *tls.ConnectionState                         { return q.state }

func TestAFailureToSendWhatWasQueuedDoesNotEndReceiving(t *testing.T) {
	broken := errors.New("broken on purpose")
	if err := (&transport.SendError{Err: broken}); !errors.Is(err, broken) || !strings.Contains(err.Error(), broken.Error()) {
		t.Errorf("%v", err)
	}
	for _, payload := range []string{"there", strings.Repeat("large", 2000)} {
		h := engine.AppendHeader(nil, Header{Fin: true, Opcode: OpText, Length: int64(len(payload))})
		q := &queuing{script: &script{chunks: [][]byte{h, []byte(payload)}}, failure: broken}
		c := NewConn(q, Client, Options{})
		buf := make([]byte, 1<<14)
		if h, n, err := c.Recv(buf[:0]); n != 0 || err != nil || h.Remaining != int64(len(payload)) {
			t.Fatalf("%+v %d %v", h, n, err)
		}
		q.failure = broken
		if _, n, err := c.Recv(buf); string(buf[:n]) != payload || err != nil {
			t.Errorf("received %d bytes of %d, %v", n, len(payload), err)
		}
		var closed *CloseError
		if err := c.SendText(nil); !errors.As(err, &closed) || !errors.Is(err, broken) {
			t.Errorf("a send afterwards: %v", err)
		}
	}
}

func TestOutgoingTellsWhatHasLeftAndWhatWaits(t *testing.T) {
	q := &queuing{script: &script{}, queued: 7, unacknowledged: 5}
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
	if !NewConn(&script{}, Client, Options{}).WritesBlock() { // it can't try
		t.Error("writes don't block")
	}
}

func TestTLSIsThatOfTheTransport(t *testing.T) {
	state := &tls.ConnectionState{Version: tls.VersionTLS13}
	if got := NewConn(&queuing{script: &script{}, state: state}, Client, Options{}).TLS(); got != state {
		t.Errorf("%v", got)
	}
	if got := NewConn(&script{}, Client, Options{}).TLS(); got != nil {
		t.Errorf("without TLS %v", got)
	}
}

func TestTheSendDeadlineIsTheTransports(t *testing.T) {
	c, s := newScripted(Client, Limits{})
	soon := time.Now().Add(time.Hour)
	if err := c.SetSendDeadline(soon); err != nil || !s.writeDeadline.Equal(soon) {
		t.Errorf("%v, %v", s.writeDeadline, err)
	}
}

// A pinged is a Handler that is told of pings.
type pinged struct {
	Handler
	told []string
}

func (p *pinged) OnPing(_ *Conn, payload []byte) { p.told = append(p.told, string(payload)) }

func TestPingsAreTold(t *testing.T) {
	stream := frames(Client, "ping ping")
	var told []string
	o := Options{OnPing: func(_ *Conn, payload []byte) { told = append(told, string(payload)) }}
	NewConn(&script{chunks: [][]byte{stream}}, Client, o).RecvMessage(nil)
	if len(told) != 1 || told[0] != "ping" {
		t.Errorf("pulling: told of %q", told)
	}
	s := &script{chunks: [][]byte{clone(stream)}}
	p := &pinged{Handler: Messages(func(*Conn, Opcode, []byte) {}, nil)}
	if err := NewConn(s, Client, Options{}).SetHandler(p); err != nil {
		t.Fatal(err)
	}
	s.play()
	if len(p.told) != 1 || p.told[0] != "ping" {
		t.Errorf("pushed: told of %q", p.told)
	}
}

func TestAHandlerErrorSaysWhatTheHandlerDid(t *testing.T) {
	for want, err := range map[string]error{"runtime.Goexit": &HandlerError{}, "panicked: 7": &HandlerError{Value: 7}} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
