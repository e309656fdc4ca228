package std

import (
	"net"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/internal/deadline"
)

// An answerWatch looks at the end of what is read for the answer that LingerForAnswer waits for, whoever
// reads it. It keeps that from the beginning: the answer may have come by the time LingerForAnswer is called,
// but the view belongs to the goroutine that reads.
type answerWatch struct {
	mu       sync.Mutex
	isAnswer func(payload []byte) bool // nil: LingerForAnswer was not called
	tail     []byte                    // the last bytes that were read, at most answerSize
}

// answerSize is the size of the largest close frame of a client.
const answerSize = 2 + 4 + 125

// newAnswerWatch returns nil if conn is no Stream and has a method CloseWrite, or what carries it if it is a
// tls.Conn. early are bytes that were read from it.
func newAnswerWatch(conn net.Conn, early []byte) *answerWatch {
	_, isStream := conn.(Stream)
	if _, ok := belowTLS(deadline.Unwrap(conn)).(interface{ CloseWrite() error }); ok && !isStream {
		return nil
	}
	w := &answerWatch{}
	w.add(early)
	return w
}

// add adds bytes that were read, and reports whether they end the answer.
func (w *answerWatch) add(p []byte) bool {
	if len(p) == 0 {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if keep := max(0, answerSize-len(p)); len(w.tail) > keep {
		w.tail = append(w.tail[:0], w.tail[len(w.tail)-keep:]...)
	}
	w.tail = append(w.tail, p[max(0, len(p)-answerSize):]...)
	return w.isAnswer != nil && w.isAnswer(w.tail)
}

// await has add look for the answer from now on, and reports whether it was read before.
func (w *answerWatch) await(isAnswer func(payload []byte) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isAnswer = isAnswer
	return isAnswer(w.tail)
}

// AwaitsAnswer reports whether CloseWrite does nothing, so that the peer can't know that nothing more
// comes until the connection is closed; or whether the Conn carries a Stream, whose peer may take it to be
// over in both directions when it ends in one.
func (c *Conn) AwaitsAnswer() bool { return c.answer != nil }

// LingerForAnswer is Linger, but also ends when what was read ends with the answer, as isAnswer says. It
// must not be called if AwaitsAnswer returns false.
func (c *Conn) LingerForAnswer(d time.Duration, isAnswer func(payload []byte) bool) error {
	if c.answer.await(isAnswer) {
		c.Close() // so that there is nothing to wait for
	}
	return c.Linger(d)
}

// readConn reads from a net.Conn without a descriptor.
func (c *Conn) readConn(p []byte) (int, error) {
	n, err := c.conn.Read(p)
	if c.answer != nil && c.answer.add(p[:n]) {
		c.Close() // which ends Linger
	}
	return n, err
}
