package replay

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/record"
)

// A player plays one side of a recorded connection.
type player struct {
	*Options
	number int // of the connection in the recording
	side   websock.Role
	rounds int // how often it is played; 0: until the connection ends
	conn   *websock.Conn
	check  *checker // nil: nothing is compared

	received atomic.Int64
	news     chan struct{} // has an element when a message was received
	ended    chan struct{} // closed when nothing more is received
	recvErr  error         // why, after ended
	sent     int64
	expected int64 // messages that the recording has received up to here
}

// Why a connection is not as recorded.
var (
	errStuck      = errors.New("a message that the recording has did not come")
	errEarly      = errors.New("the connection has ended before all was sent")
	errNotClosed  = errors.New("the connection was not closed as recorded")
	errOtherClose = errors.New("the connection has ended in another way than recorded")
)

// play plays the recording, and closes the connection. An error is one of the file.
func (p *player) play() (result played, err error) {
	begin := time.Now()
	p.news, p.ended = make(chan struct{}, 1), make(chan struct{})
	go p.receive()
	end, endDue, err := p.playRounds()
	switch {
	case errors.Is(err, errEarly) && p.rounds == 0: // there is no other end
		err = nil
	case errors.Is(err, errStuck), errors.Is(err, errEarly):
		result.unlike, err = err, nil
	case err == nil:
		result.unlike = p.finish(end, endDue)
	}
	p.conn.Close()
	<-p.ended
	result.sent, result.received, result.expected = p.sent, p.received.Load(), p.expected
	result.took = time.Since(begin)
	if !isLocal(p.recvErr) {
		result.err = p.recvErr
	}
	if p.check != nil {
		result.differences = p.check.finish()
		err = errors.Join(err, p.check.err)
	}
	return result, err
}

func isLocal(err error) bool {
	var closed *websock.CloseError
	return errors.As(err, &closed) && closed.Local
}

// receive counts and compares messages until the connection ends.
func (p *player) receive() {
	defer close(p.ended)
	var msg []byte
	for {
		var op websock.Opcode
		if op, msg, p.recvErr = p.conn.RecvMessage(msg[:0]); p.recvErr != nil {
			return
		}
		if p.check != nil {
			p.check.message(op, msg)
		}
		p.received.Add(1)
		select {
		case p.news <- struct{}{}:
		default:
		}
	}
}

// playRounds sends all that the side has sent. It returns the event that ends the connection, or nil if there
// is none, and when that is due.
func (p *player) playRounds() (*record.Event, time.Time, error) {
	for round := 1; ; round++ {
		before, begin := p.sent, time.Now()
		end, last, err := p.playRound(begin)
		due := p.due(begin, last)
		switch {
		case err != nil || round == p.rounds:
			return end, due, err
		case p.sent == before: // to play it again would do nothing
			return nil, due, nil
		case !p.sleepUntil(due):
			return nil, due, errEarly
		}
	}
}

// playRound plays the recording once and returns the time of its last event.
func (p *player) playRound(begin time.Time) (end *record.Event, last time.Duration, err error) {
	in, err := p.File.Conn(p.number)
	if err != nil {
		return nil, 0, err
	}
	defer in.Close()
	for {
		e, err := in.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil, last, nil
		case err != nil:
			return nil, last, err
		case e.IsEnd():
			return &e, e.Time, nil
		}
		last = e.Time
		if e.From != p.side {
			if e.IsMessage() {
				p.expected++
			}
			continue
		}
		if p.InOrder && !p.awaitMessages() {
			return nil, last, errStuck
		}
		if !p.sleepUntil(p.due(begin, e.Time)) || p.conn.SendFrame(e.Opcode, true, e.Payload) != nil {
			return nil, last, errEarly
		}
		if e.IsMessage() {
			p.sent++
		}
	}
}

// hasEnded reports whether nothing more is received.
func (p *player) hasEnded() bool {
	select {
	case <-p.ended:
		return true
	default:
		return false
	}
}

// sleepUntil returns false if the connection has ended before.
func (p *player) sleepUntil(due time.Time) bool {
	if p.hasEnded() { // also if it is due
		return false
	}
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-p.ended:
		return false
	}
}

// awaitMessages waits until as many messages were received as are expected. It returns false if that can't
// be anymore, or nothing has come for Wait.
func (p *player) awaitMessages() bool {
	quiet := time.NewTimer(p.Wait)
	defer quiet.Stop()
	for p.received.Load() < p.expected {
		select {
		case <-p.news:
			quiet.Reset(p.Wait)
		case <-p.ended:
			return p.received.Load() >= p.expected
		case <-quiet.C:
			return false
		}
	}
	return true
}

// finish ends the connection as recorded, or returns why that is not possible.
func (p *player) finish(end *record.Event, due time.Time) error {
	if end == nil || end.From != p.side {
		return p.finishAfterPeer(end, due)
	}
	p.awaitMessages()
	if !p.sleepUntil(due) {
		return errEarly
	}
	if end.Opcode == record.Lost {
		p.conn.Abort(nil)
	} else {
		p.conn.CloseWith(end.Code, end.Reason)
	}
	return nil
}

// finishAfterPeer ends a connection that the other side has ended in the recording, or nobody, as when it
// was lost. A server then leaves that to its client.
func (p *player) finishAfterPeer(end *record.Event, due time.Time) error {
	switch {
	case p.side == websock.Server:
		<-p.ended
	case end == nil || end.Opcode == record.Lost:
		if !p.awaitMessages() && p.hasEnded() && end == nil {
			return errOtherClose
		}
		return nil
	default:
		p.awaitMessages()
		if p.sleepUntil(due.Add(p.Wait)) {
			return errNotClosed
		}
	}
	if end != nil && !endsAs(p.recvErr, end) {
		return errOtherClose
	}
	return nil
}

// endsAs reports whether a connection has ended as recorded.
func endsAs(err error, end *record.Event) bool {
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local {
		return false
	}
	if end.Opcode == record.Lost {
		return closed.Code == websock.CloseAbnormal
	}
	return closed.Code == end.Code && closed.Reason == end.Reason
}
