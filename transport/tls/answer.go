package tls

import "errors"

// ErrKeyUpdates ends a connection whose peer asks again and again for key updates (RFC 8446
// section 4.6.3) and doesn't read the answers, which would gather without bound. It is in the
// chain of what receives, sends and OnClose get.
var ErrKeyUpdates = errors.New("websock: TLS: the peer requests key updates and does not read the answers")

// maxAnswers is how many answers may wait for the peer at the same time. One takes 27 bytes.
const maxAnswers = 512

// answer sends what a tls.Conn writes by itself: answers to key updates, and alerts. It doesn't
// wait for the peer: who reads calls it. The lock is held.
func (w *wire) answer(record []byte) {
	waiting := w.carrier.Queued() + int(w.underWay)
	if w.records != nil {
		waiting += len(w.records.B)
	}
	if waiting <= int(w.since) { // all of it came later than the last answer, which has left
		w.answers = 0
	}
	w.add(record)
	w.since = 0
	if w.answers++; w.answers > maxAnswers && w.err == nil {
		w.err = ErrKeyUpdates
		w.unread.Store(true)
	}
	w.sendSoon()
}
