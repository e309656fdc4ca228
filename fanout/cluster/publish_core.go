package cluster

import (
	"errors"
	"math"
	"time"

	"github.com/nats-io/nats.go"
)

// maxRound bounds the bytes of messages that core NATS has not confirmed.
const maxRound = 1 << 20

// runCore publishes what is in the queue with core NATS, in rounds: it sends what waits, and then waits
// until the server has read it, which keeps what waits in the queue rather than in the connection, and
// says what may be lost when that ends.
func (p *publisher) runCore() {
	status := p.conn.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer p.conn.RemoveStatusListener(status)
	var round []taken
	for {
		if p.conn.IsConnected() {
			if round = p.queue.take(round[:0], math.MaxInt, maxRound, all); len(round) > 0 {
				p.publishRound(round)
				clear(round)
				continue
			}
		}
		select {
		case <-p.queue.wake:
		case <-status:
		case <-p.stop:
			return
		}
	}
}

// publish publishes a round.
func (p *publisher) publishRound(round []taken) {
	reasons := make([]DropReason, len(round))
	for i := range round {
		reasons[i] = p.send(&round[i])
	}
	if !p.confirm() {
		for i := range reasons {
			if reasons[i] == notDropped {
				reasons[i] = DropUnconfirmed
			}
		}
	}
	p.queue.settleAll(round, reasons)
}

// send gives a message to the connection.
func (p *publisher) send(m *taken) DropReason {
	if !p.stillHeld(m) {
		return DropNotHeld
	}
	msg, ok := p.encoder.encode(m)
	if !ok {
		return DropTooLarge
	}
	switch err := p.conn.PublishMsg(msg); {
	case err == nil:
		return notDropped
	case errors.Is(err, nats.ErrMaxPayload):
		return DropTooLarge
	default:
		return DropUnconfirmed
	}
}

// confirm reports whether the server has read what was sent.
func (p *publisher) confirm() bool {
	for {
		err := p.conn.FlushTimeout(confirmWait)
		if !errors.Is(err, nats.ErrTimeout) {
			return err == nil
		}
		select {
		case <-p.stop:
			return false
		default:
		}
		if !p.conn.IsConnected() {
			return false
		}
	}
}

// confirmWait is how often a server that reads slowly gets another ping.
const confirmWait = 10 * time.Second
