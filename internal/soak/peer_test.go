package soak

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock/engine"
)

// errCut is how a peer ends without saying goodbye.
var errCut = errors.New("cut on purpose")

// A peer is one end of a connection: it sends numbered messages and takes those of the other
// end, which have to come without a gap, whole and in order.
type peer struct {
	run      *run
	conn     *engine.Conn
	ready    chan struct{} // closed once conn is set
	random   *rand.Rand    // of the goroutine that sends
	received uint64        // of the Handler
	ended    chan struct{}
	sent     atomic.Uint64
}

func newPeer(r *run) *peer {
	return &peer{
		run:    r,
		ready:  make(chan struct{}),
		ended:  make(chan struct{}),
		random: rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())),
	}
}

// handler takes what comes.
func (p *peer) handler() engine.Handler { return engine.Messages(p.deliver, p.finish) }

func (p *peer) deliver(c *engine.Conn, op engine.Opcode, msg []byte) {
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

// finish knows how many messages the other end has sent if that said so.
func (p *peer) finish(_ *engine.Conn, err error) {
	defer close(p.ended)
	var closed *engine.CloseError
	if !errors.As(err, &closed) {
		p.run.fail(fmt.Errorf("ended with %w", err))
		return
	}
	if closed.Local || closed.Code != goodbye {
		p.run.count(err)
		return
	}
	if sent, _ := strconv.ParseUint(closed.Reason, 10, 64); sent != p.received {
		p.run.fail(fmt.Errorf("%d messages of %d came", p.received, sent))
	}
	p.run.count(err)
}

// goodbye is the close code whose reason is the number of messages sent.
const goodbye engine.CloseCode = 4000

// live sends for some time, and ends the connection unless the other end does.
func (p *peer) live() {
	<-p.ready
	c := p.conn
	for end := time.Now().Add(p.run.lifetime(p.random)); time.Now().Before(end); {
		if err := c.SendBinary(newMessage(p.random, p.sent.Load())); err != nil {
			var full *engine.LimitError
			if !errors.As(err, &full) {
				break
			}
			time.Sleep(time.Millisecond)
			continue
		}
		p.sent.Add(1)
		if p.random.IntN(4) == 0 {
			time.Sleep(rand.N(p.run.pause))
		}
	}
	if p.random.IntN(4) == 0 {
		c.Abort(errCut)
	} else {
		c.CloseWith(goodbye, strconv.FormatUint(p.sent.Load(), 10))
	}
	<-p.ended
}

// newMessage returns a message of random size: its number, then bytes that follow from it.
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
		return fmt.Errorf("message %x came as number %d", msg[:min(len(msg), 8)], number)
	}
	for i, b := range msg[8:] {
		if b != byte(number)+byte(i) {
			return fmt.Errorf("byte %d of message %d is wrong", i, number)
		}
	}
	return nil
}

// descriptors returns how many the process has open.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
