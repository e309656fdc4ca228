package keepalive

import (
	"time"
	"unicode/utf8"

	"github.com/seed004e8d11/websock/engine"
)

// A Policy says when heartbeats are sent and when a peer counts as dead. Many connections share
// one, and nothing changes it after Complete.
type Policy struct {
	// Ping is the time without a sign of life after which a heartbeat is sent; with Regular,
	// the time between two heartbeats. 0: none is sent.
	Ping time.Duration

	// Timeout is the time without a sign of life after which the peer counts as dead; with
	// Regular, it starts with a heartbeat. 0: never.
	Timeout time.Duration

	// Regular sends heartbeats whether there are signs of life or not.
	Regular bool

	// Opcode and Payload are those of a heartbeat. An Opcode of 0 means OpText if Payload
	// isn't nil, else OpPing.
	Opcode  engine.Opcode
	Payload []byte
}

// Complete sets the default of Opcode. The error says why no connection can send such a
// heartbeat.
func (p *Policy) Complete() error {
	if p.Opcode == 0 {
		p.Opcode = engine.OpPing
		if p.Payload != nil {
			p.Opcode = engine.OpText
		}
	}
	switch control := p.Opcode == engine.OpPing || p.Opcode == engine.OpPong; {
	case !control && p.Opcode != engine.OpText && p.Opcode != engine.OpBinary:
		return engine.ErrFrameOrder
	case control && len(p.Payload) > engine.MaxControlPayload:
		return engine.ErrControlTooLong
	case p.Opcode == engine.OpText && !utf8.Valid(p.Payload):
		return engine.ErrInvalidUTF8
	}
	return nil
}

// Off reports whether a connection need not be visited.
func (p *Policy) Off() bool { return p.interval() == 0 }

// interval returns the time between two visits while there are signs of life; 0: there is nothing
// to visit a connection for.
func (p *Policy) interval() time.Duration {
	if p.Regular && p.Ping == 0 {
		return 0
	}
	d := p.Ping / 4
	if d == 0 || p.Timeout > 0 && p.Timeout < p.Ping {
		d = p.Timeout / 4
	}
	return d
}
