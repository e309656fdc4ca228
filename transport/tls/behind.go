package tls

import (
	"errors"

	"github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/buffer"
)

// behind is what a carrier has left of a TryWrite. Nothing else is sent until it is written;
// answers to key updates gather.
type behind struct {
	wire    *wire
	records *buffer.Buffer
	rest    engine.Rest
	sender  engine.Sender
}

var errUnread = errors.New("websock: the peer asks for answers and doesn't read them")

// tryFlush is flush that doesn't wait for the peer.
func (w *wire) tryFlush(t engine.TryWriter) (engine.Rest, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gathering, w.whole = false, false
	b := w.records
	w.records = nil
	var rest engine.Rest
	if w.err == nil {
		rest, w.err = t.TryWrite(b.B)
	}
	if rest == nil || w.err != nil {
		b.Put()
		return nil, w.err
	}
	w.behind = &behind{wire: w, records: b, rest: rest}
	return w.behind, nil
}

// waitsBehind reports whether records wait for those that the carrier has to write first, as
// many as there may be. The lock is held.
func (w *wire) waitsBehind() bool {
	if w.behind != nil && len(w.records.B) > gatherSize/2 {
		w.err = errUnread
	}
	return w.behind != nil && w.err == nil
}

// Send has the carrier write the rest.
func (b *behind) Send(s engine.Sender) {
	b.sender = s
	b.rest.Send(b)
}

// Sent sends what has gathered meanwhile, and passes the result on.
func (b *behind) Sent(err error) {
	w := b.wire
	w.mu.Lock()
	b.records.Put()
	w.behind = nil
	if w.err == nil {
		w.err = err
	}
	w.send()
	err = w.err
	w.mu.Unlock()
	b.sender.Sent(err)
}
