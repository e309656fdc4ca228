package faults

import (
	"bytes"
	stdtls "crypto/tls"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// http2Faults are faults of servers and networks with HTTP/2.
var http2Faults = []fault{
	// The network.
	{what: "delays every piece", serve: conversesInFrames(Fault{Delay: time.Millisecond}), closes: true},
	{what: "splits into single bytes", serve: conversesInFrames(Fault{Piece: 1}), closes: true},
	{what: "ends the connection in a handshake", head: func(s *server) { s.proxy.Begin(Fault{Then: Truncate}) }},
	{what: "resets in a handshake", head: func(s *server) { s.proxy.Begin(Fault{Then: Reset}) }},
	{what: "stalls in a handshake", early: Fault{After: 20, Then: Stall}, deadline: timeout},
	{what: "ends the connection between frames", serve: conversesInFrames(Fault{After: 9 + afterHello, Then: Truncate})},
	{what: "ends the connection in the header of a frame", serve: conversesInFrames(Fault{After: 9 + afterHello + 5, Then: Truncate})},
	{what: "ends the connection in a payload", serve: conversesInFrames(Fault{After: 9 + afterHello + 1000, Then: Truncate})},
	{what: "half-closes in a payload", serve: conversesInFrames(Fault{After: 9 + afterHello + 1000, Then: HalfClose})},
	{what: "resets in a payload", serve: conversesInFrames(Fault{After: 9 + afterHello + 1000, Then: Reset})},
	{what: "stalls in a payload", serve: conversesInFrames(Fault{After: 9 + afterHello + 1000, Then: Stall}), deadline: keepAlive},
	{what: "stalls; the client receives with a deadline", acts: receivesInTime, serve: conversesInFrames(Fault{After: 9 + afterHello + 1000, Then: Stall}), deadline: recvDeadline},
	{what: "stalls; the client closes", acts: closes, serve: conversesInFrames(Fault{Then: Stall}), deadline: closeTimeout},

	// The response.
	{what: "answers with interim responses without end", head: func(s *server) {
		repeatFrames(func() error { return s.list(http2.FlagHeadersEndHeaders, ":status", "103") })
	}},
	{what: "answers with a header list without end", head: func(s *server) { s.endlessList(1000) }, memory: 4},
	{what: "answers with a header list in frames without end", head: func(s *server) { s.endlessList(0) }},
	{what: "answers without a status", head: func(s *server) { s.list(http2.FlagHeadersEndHeaders, "a", "b") }},
	{what: "answers with DATA", head: func(s *server) { s.framer.WriteData(s.stream, false, []byte("x")) }},
	{what: "resets the stream instead of an answer", head: func(s *server) { s.framer.WriteRSTStream(s.stream, http2.ErrCodeInternal) }},
	{what: "answers 403, with a body without end", head: func(s *server) {
		s.list(http2.FlagHeadersEndHeaders, ":status", "403")
		s.framer.WriteData(s.stream, false, []byte(many("no ", 1000)))
	}},

	// The stream.
	{what: "ends the stream without a close frame", serve: func(s *server) { s.say("\x81\x05Hello"); s.framer.WriteData(s.stream, true, nil) }},
	{what: "ends the stream with a trailer", serve: func(s *server) { s.list(http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, "a", "b") }},
	{what: "resets the stream", serve: func(s *server) { s.framer.WriteRSTStream(s.stream, http2.ErrCodeInternal) }},
	{what: "opens no window; the client sends with a deadline", acts: sends, settings: []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 10}}, serve: func(*server) {}, deadline: sendDeadline},
	{what: "opens a window that is too large", serve: func(s *server) { s.framer.WriteWindowUpdate(s.stream, 1<<31-1) }},

	// The connection.
	{what: "sends GOAWAY, and goes on", serve: func(s *server) { s.framer.WriteGoAway(s.stream, http2.ErrCodeNo, nil); s.say(conversation) }, closes: true},
	{what: "sends GOAWAY with an error, and ends the connection", serve: func(s *server) {
		s.framer.WriteGoAway(s.stream, http2.ErrCodeEnhanceYourCalm, []byte("too busy"))
		s.conn.Close()
	}},
	{what: "sends PING without end", serve: func(s *server) { repeatFrames(func() error { return s.framer.WritePing(false, [8]byte{}) }) }},
	{what: "sends SETTINGS without end", serve: func(s *server) { s.repeatUntilGoAway(func() error { return s.framer.WriteSettings() }) }},
	{what: "sends empty DATA without end", serve: func(s *server) { s.repeatUntilGoAway(func() error { return s.framer.WriteData(s.stream, false, nil) }) }},
	{what: "sends unknown frames without end", serve: func(s *server) { s.repeatUntilGoAway(func() error { return s.framer.WriteRawFrame(99, 0, 0, nil) }) }},
	{what: "sends a frame that is too long", serve: func(s *server) { s.framer.WriteRawFrame(http2.FrameData, 0, s.stream, make([]byte, 1<<20)) }, memory: 4},
	{what: "sends padding longer than the frame", serve: func(s *server) {
		s.framer.WriteRawFrame(http2.FrameData, http2.FlagDataPadded, s.stream, []byte("\xffabc"))
	}},
	{what: "sends DATA of a stream that was not opened", serve: func(s *server) { s.framer.WriteData(s.stream+2, false, []byte("x")) }},
	{what: "sends PUSH_PROMISE", serve: func(s *server) {
		s.framer.WritePushPromise(http2.PushPromiseParam{StreamID: s.stream, PromiseID: 2, EndHeaders: true})
	}},
	{what: "sends something else", serve: func(s *server) { io.WriteString(s.conn, many("SSH-2.0-x\r\n", 100)) }},
}

// An http2Server is what a server with HTTP/2 has beside others.
type http2Server struct {
	framer  *http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
	stream  uint32        // of the client
	ended   chan struct{} // closed when the client has sent GOAWAY, or its connection has ended
}

// serveHTTP2 serves one connection with HTTP/2.
func (s *server) serveHTTP2() {
	if conn, ok := s.conn.(*stdtls.Conn); ok && conn.Handshake() != nil {
		return
	}
	preface := make([]byte, len(http2.ClientPreface))
	if _, err := io.ReadFull(s.conn, preface); err != nil {
		return
	}
	s.framer = http2.NewFramer(s.conn, s.conn)
	s.framer.AllowIllegalWrites = true
	s.framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	s.encoder = hpack.NewEncoder(&s.block)
	s.framer.WriteSettings(append(s.fault.settings, http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})...)
	s.ended = make(chan struct{})
	go func() {
		defer close(s.ended)
		s.receiveFrames()
	}()
	s.serveFault(s.ended)
}

// receiveFrames handles what the client sends until the connection ends. It writes frames only until the
// fault begins.
func (s *server) receiveFrames() {
	d := engine.NewDecoder(websock.Server, engine.Limits{MessageSize: -1, Fragments: -1, FrameSize: -1})
	for {
		f, err := s.framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := f.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				s.framer.WriteSettingsAck()
			}
		case *http2.MetaHeadersFrame:
			s.stream = f.StreamID
			if s.fault.head != nil {
				go s.fault.head(s)
			} else {
				s.list(http2.FlagHeadersEndHeaders, ":status", "200")
			}
		case *http2.DataFrame:
			for received := f.Data(); len(received) > 0; {
				event, n, err := d.Next(received)
				if err != nil {
					s.code = "invalid: " + err.Error()
					return
				}
				received = received[n:]
				s.handle(event)
			}
		case *http2.GoAwayFrame:
			return
		}
	}
}

// list sends a header list.
func (s *server) list(flags http2.Flags, fields ...string) error {
	s.block.Reset()
	for i := 0; i < len(fields); i += 2 {
		s.encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	return s.framer.WriteRawFrame(http2.FrameHeaders, flags, s.stream, s.block.Bytes())
}

// endlessList sends a header list without end, with fields of a size, or none.
func (s *server) endlessList(size int) {
	s.list(0, ":status", "200")
	repeatFrames(func() error {
		s.block.Reset()
		if size > 0 {
			s.encoder.WriteField(hpack.HeaderField{Name: "x", Value: strings.Repeat("y", size), Sensitive: true})
		}
		return s.framer.WriteContinuation(s.stream, false, s.block.Bytes())
	})
}

// repeatFrames calls write until it fails.
func repeatFrames(write func() error) {
	for write() == nil {
	}
}

// repeatUntilGoAway calls write until it fails, or the client has sent GOAWAY. A server that goes on after
// that is read for a while, which takes the test its time.
func (s *server) repeatUntilGoAway(write func() error) {
	repeatFrames(func() error {
		select {
		case <-s.ended:
			return net.ErrClosed
		default:
			return write()
		}
	})
}

// conversesInFrames is converses over HTTP/2, with DATA of its own for the first message.
func conversesInFrames(f Fault) func(s *server) {
	return func(s *server) {
		s.proxy.Begin(f)
		s.say(conversation[:afterHello])
		s.say(conversation[afterHello:])
	}
}
