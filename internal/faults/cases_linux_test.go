package faults

import (
	"io"
	"net"
	"strings"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
	"golang.org/x/net/http2"
)

// A fault is what a server, or the network in between, does to a client.
type fault struct {
	what   string
	acts   func(c *client) error // nil: the client receives
	early  Fault                 // of the network, from the first byte on
	answer func(conn net.Conn)   // to the opening handshake; nil: a valid one
	serve  func(s *server)       // after the client's first message
	closes bool                  // the server closes the connection at the client's close frame
	unread bool                  // the server reads nothing until it has sent everything

	// With HTTP/2.
	settings []http2.Setting // of the server
	head     func(s *server) // sends the response; nil: a valid one

	// deadline is the one that ends the connection; nil: none.
	deadline *deadline

	// memory bounds the growth of the heap, server and proxy included, in MiB. 0: 1.
	memory uint64
}

func (f *fault) mebibytes() uint64 { return max(f.memory, 1) }

func (f *fault) act(c *client) error {
	if f.acts == nil {
		return receives(c)
	}
	return f.acts(c)
}

// A deadline is one that a client can set.
type deadline struct {
	name string
	set  func(cfg *websock.Config)
}

var (
	timeout      = &deadline{"Config.Timeout", func(cfg *websock.Config) { cfg.Timeout = wait }}
	keepAlive    = &deadline{"KeepAlive.Timeout", func(cfg *websock.Config) { cfg.KeepAlive.Ping, cfg.KeepAlive.Timeout = wait/2, wait }}
	closeTimeout = &deadline{"Limits.CloseTimeout", func(cfg *websock.Config) { cfg.Limits.CloseTimeout = wait }}
	recvDeadline = &deadline{"SetRecvDeadline", closeTimeout.set} // Close follows
	sendDeadline = &deadline{"SetSendDeadline", func(cfg *websock.Config) {
		if queues := cfg.Handler != nil && cfg.Transport == factories["epoll"]; !queues {
			closeTimeout.set(cfg) // Close follows, and the server waits as well
		}
	}}
)

// conversation is a message of a few bytes, one of several reads, and a close frame.
var conversation = "\x81\x05Hello" + string(engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: websock.OpBinary, Length: 5000})) +
	strings.Repeat("b", 5000) + "\x88\x02\x03\xe8"

// converses is a valid server behind a network with a fault.
func converses(f Fault) func(s *server) {
	return func(s *server) {
		s.proxy.Begin(f)
		s.say(conversation)
	}
}

// endless answers the opening handshake with start, and then with more until a write fails.
func endless(start, more string) func(net.Conn) {
	bytes := []byte(more)
	return func(conn net.Conn) {
		io.WriteString(conn, start)
		for {
			if _, err := conn.Write(bytes); err != nil {
				return
			}
		}
	}
}

// floods sends start, and then more until a write fails.
func floods(start, more string) func(s *server) {
	return func(s *server) {
		s.say(start)
		s.repeat(more, 0)
	}
}

func says(frames string) func(s *server) { return func(s *server) { s.say(frames) } }

func header(op websock.Opcode, fin bool, length int64) string {
	return string(engine.AppendHeader(nil, websock.Header{Fin: fin, Opcode: op, Length: length}))
}

func many(p string, n int) string { return strings.Repeat(p, n) }

func pings(s *server) {
	s.repeat(many("\x89\x7d"+many("p", 125), 100), 200)
	s.say(conversation)
}

func closeStorm(s *server) { s.repeat(many("\x88\x02\x03\xe8", 100), 100) }

// afterHello is the size of the first frame of conversation.
const afterHello = int64(len("\x81\x05Hello"))

var faults = []fault{
	// The network.
	{what: "delays every piece", serve: converses(Fault{Delay: time.Millisecond}), closes: true},
	{what: "splits into single bytes", serve: converses(Fault{Piece: 1}), closes: true},
	{what: "ends the stream in a handshake", early: Fault{After: 20, Then: Truncate}},
	{what: "resets in a handshake", early: Fault{After: 20, Then: Reset}},
	{what: "stalls in a handshake", early: Fault{After: 20, Then: Stall}, deadline: timeout},
	{what: "ends the stream between frames", serve: converses(Fault{After: afterHello, Then: Truncate})},
	{what: "ends the stream in a header", serve: converses(Fault{After: afterHello + 1, Then: Truncate})},
	{what: "ends the stream in a payload", serve: converses(Fault{After: afterHello + 1000, Then: Truncate})},
	{what: "half-closes in a payload", serve: converses(Fault{After: afterHello + 1000, Then: HalfClose})},
	{what: "resets between frames", serve: converses(Fault{After: afterHello, Then: Reset})},
	{what: "resets in a payload", serve: converses(Fault{After: afterHello + 1000, Then: Reset})},
	{what: "stalls in a payload", serve: converses(Fault{After: afterHello + 1000, Then: Stall}), deadline: keepAlive},
	{what: "stalls; the client receives with a deadline", acts: receivesInTime, serve: converses(Fault{After: afterHello + 1000, Then: Stall}), deadline: recvDeadline},
	{what: "stalls; the client sends with a deadline", acts: sends, serve: converses(Fault{Then: Stall}), deadline: sendDeadline, closes: true},
	{what: "stalls; the client closes", acts: closes, serve: converses(Fault{Then: Stall}), deadline: closeTimeout},

	// The opening handshake.
	{what: "answers with headers without end", answer: endless("HTTP/1.1 101 Switching Protocols\r\n", many("X: y\r\n", 100))},
	{what: "answers with one header without end", answer: endless("HTTP/1.1 101 Switching Protocols\r\nX: ", many("y", 1000))},
	{what: "answers with 100 Continue without end", answer: endless("", many("HTTP/1.1 100 Continue\r\n\r\n", 40)), memory: 4},
	{what: "refuses with a body without end", answer: endless("HTTP/1.1 403 Forbidden\r\n\r\n", many("no ", 300))},
	{what: "answers with something else", answer: endless("", "SSH-2.0-x\r\n")},

	// Frames.
	{what: "sends 20,000 pings, then closes", serve: pings, closes: true},
	{what: "sends 20,000 pings and reads nothing before it closes", serve: pings, closes: true, unread: true},
	{what: "sends one-byte fragments without end", serve: floods("\x01\x01a", many("\x00\x01a", 100)), closes: true},
	{what: "sends empty fragments without end", serve: floods("\x02\x00", many("\x00\x00", 100)), closes: true},
	{what: "sends fragments of 64 KiB without end", serve: floods(header(websock.OpBinary, false, 0), header(websock.OpContinuation, false, 64<<10)+many("x", 64<<10)), closes: true, memory: 64},
	{what: "declares a frame of 2^62 bytes", serve: says(header(websock.OpBinary, true, 1<<62)), closes: true},
	{what: "declares a frame of 16 MiB and sends ten bytes", serve: says(header(websock.OpBinary, true, 16<<20) + "0123456789"), deadline: keepAlive, memory: 4},
	{what: "sends 10,000 close frames", serve: closeStorm, closes: true},
	{what: "continues after its close frame", serve: floods("\x88\x02\x03\xe8", many("\x82\x05Hello", 100)), deadline: closeTimeout},
	{what: "continues after the client's close frame", acts: closes, serve: floods("", many("\x82\x05Hello", 100)), deadline: closeTimeout},
	{what: "sends a reserved opcode", serve: says("\x83\x00"), closes: true},
	{what: "sends a masked frame", serve: says("\x81\x80mask"), closes: true},
	{what: "sends text that is not UTF-8", serve: says("\x81\x7e\xff\xff\xc0"), closes: true},
	{what: "sends a close code that must not be sent", serve: says("\x88\x02\x03\xed"), closes: true},
}
