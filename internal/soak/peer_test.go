package soak

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
)

// errAbort is the error with which a peer aborts a connection.
var errAbort = errors.New("aborted on purpose")

// A peer is one end of a connection. It sends numbered messages, and checks that those of the other end
// arrive complete, in order and without a gap.
type peer struct {
	run      *run
	conn     *websock.Conn
	ready    chan struct{} // closed when conn is set
	random   *rand.Rand    // of the goroutine that sends
	received uint64        // of the Handler
	ponged   uint64        // of the Handler: number of the last ping that was answered
	ended    chan struct{}
	sent     atomic.Uint64
	pinged   atomic.Uint64
}

func newPeer(r *run) *peer {
	return &peer{
		run:    r,
		ready:  make(chan struct{}),
		ended:  make(chan struct{}),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
}

// handler returns the Handler of the connection.
func (p *peer) handler() websock.Handler {
	return pongHandler{websock.Messages(p.deliver, p.finish), p}
}

// A pongHandler is a Handler that checks pongs, too.
type pongHandler struct {
	websock.Handler
	peer *peer
}

// OnPong checks that pongs answer our pings in order. A peer may answer only the latest ping.
func (h pongHandler) OnPong(c *websock.Conn, payload []byte) {
	p := h.peer
	if len(payload) != pingSize {
		return // answers a ping of KeepAlive
	}
	number := binary.BigEndian.Uint64(payload)
	if number <= p.ponged || number > p.pinged.Load() {
		p.run.fail(fmt.Errorf("received pong %d after pong %d, with %d pings sent", number, p.ponged, p.pinged.Load()))
		c.Abort(nil)
		return
	}
	p.ponged = number
	p.run.pongs.Add(1)
}

// pingSize is the size of a ping's payload, its number.
const pingSize = 8

func (p *peer) ping() {
	p.conn.SendPing(binary.BigEndian.AppendUint64(nil, p.pinged.Add(1))) // an error shows in the next send
}

func (p *peer) deliver(c *websock.Conn, op websock.Opcode, msg []byte) {
	if err := check(msg, p.received); err != nil {
		p.run.fail(err)
		c.Abort(err)
		return
	}
	p.received++
	p.run.messages.Add(1)
	if rand.IntN(200) == 0 { // a slow reader
		c.Pause()
		time.AfterFunc(rand.N(50*time.Millisecond), c.Resume)
	}
}

// finish checks the number of messages if the other end has closed and said how many it sent.
func (p *peer) finish(_ *websock.Conn, err error) {
	defer close(p.ended)
	var closed *websock.CloseError
	if !errors.As(err, &closed) {
		p.run.fail(fmt.Errorf("ended with %w", err))
		return
	}
	if closed.Local || closed.Code != closeCode {
		p.run.count(err)
		return
	}
	if sent, _ := strconv.ParseUint(closed.Reason, 10, 64); sent != p.received {
		p.run.fail(fmt.Errorf("received %d messages of %d", p.received, sent))
	}
	p.run.count(err)
}

// closeCode is a close code whose reason is the number of messages sent.
const closeCode websock.CloseCode = 4000

// sendAndClose sends for some time, and then closes the connection unless the other end does.
func (p *peer) sendAndClose() {
	<-p.ready
	c := p.conn
	for end := time.Now().Add(p.run.lifetime(p.random)); time.Now().Before(end); {
		if p.random.IntN(20) == 0 {
			p.ping()
		}
		switch err := p.send(newMessage(p.random, p.sent.Load())); {
		case errors.Is(err, websock.ErrSendQueueFull), err == context.DeadlineExceeded: // nothing was sent
			time.Sleep(time.Millisecond)
			continue
		case err != nil:
			p.close(c)
			return
		}
		p.sent.Add(1)
		if p.random.IntN(4) == 0 {
			time.Sleep(rand.N(p.run.pause))
		}
	}
	p.close(c)
}

// close closes the connection, or sometimes aborts it, and waits for its end.
func (p *peer) close(c *websock.Conn) {
	if p.random.IntN(4) == 0 {
		c.Abort(errAbort)
	} else {
		c.CloseWith(closeCode, strconv.FormatUint(p.sent.Load(), 10))
	}
	<-p.ended
}

// send sends a message in a random way.
func (p *peer) send(msg []byte) error {
	c := p.conn
	switch p.random.IntN(6) {
	case 0:
		return c.TrySend(websock.OpBinary, msg)
	case 1:
		ctx, cancel := context.WithTimeout(context.Background(), rand.N(100*time.Millisecond))
		defer cancel()
		return c.SendContext(ctx, websock.OpBinary, msg)
	case 2:
		prepared, err := websock.NewPreparedMessage(websock.OpBinary, msg)
		if err != nil {
			return err
		}
		return c.SendPrepared(prepared)
	case 3:
		buffer, err := c.Reserve(len(msg))
		if err != nil {
			return err
		}
		copy(buffer.Bytes(), msg)
		return buffer.SendBinary(len(msg))
	case 4:
		return p.stream(msg)
	}
	return c.SendBinary(msg)
}

// stream sends a message in fragments. After an error in between it closes the connection.
func (p *peer) stream(msg []byte) error {
	w, err := p.conn.NextWriter(websock.OpBinary)
	if err != nil {
		return err
	}
	for piece := range slices.Chunk(msg, 1+p.random.IntN(len(msg))) {
		if _, err := w.Write(piece); err != nil {
			p.close(p.conn)
			w.Close()                                             // returns its memory: nothing can be sent any more
			return errors.New("within a message: " + err.Error()) // without the chain, since the send must not be repeated
		}
	}
	return w.Close()
}

// newMessage returns a message of random size: its number, then bytes derived from that.
func newMessage(random *rand.Rand, number uint64) []byte {
	size := 8 + random.IntN(256)
	switch random.IntN(100) {
	case 0:
		size = 8 + random.IntN(200<<10)
	case 1, 2, 3:
		size = 8 + random.IntN(10<<10)
	}
	msg := make([]byte, size)
	binary.BigEndian.PutUint64(msg, number)
	for i := range msg[8:] {
		msg[8+i] = byte(number) + byte(i)
	}
	return msg
}

func check(msg []byte, number uint64) error {
	if len(msg) < 8 || binary.BigEndian.Uint64(msg) != number {
		return fmt.Errorf("received message %x as number %d", msg[:min(len(msg), 8)], number)
	}
	for i, b := range msg[8:] {
		if b != byte(number)+byte(i) {
			return fmt.Errorf("byte %d of message %d is wrong", i, number)
		}
	}
	return nil
}

// descriptors returns the number of open descriptors.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
