package h2

import (
	"encoding/binary"
	"fmt"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Frame is what Config.Trace is told about a frame (RFC 9113 section 4).
type Frame struct {
	Sent   bool                // by us
	Header http2.FrameHeader   // its type, flags, stream, and the length of its payload
	Fields []hpack.HeaderField // of a header list; they must not be changed
	Detail string              // what else it says, such as the values of SETTINGS; "" if that is nothing
}

// traceLocked notes a frame for Config.Trace. f is what the Framer has made of one that was received,
// or nil.
func (s *Session) traceLocked(sent bool, frame []byte, f http2.Frame) {
	note := Frame{Sent: sent, Header: tracedHeader(parseFrameHeader(frame)), Detail: detailOf(frame)}
	head, received := f.(*http2.MetaHeadersFrame)
	switch {
	case received:
		note.Fields = head.Fields
	case sent && note.Header.Type == http2.FrameHeaders:
		note.Fields = s.out.fields
	}
	s.notes.frames = append(s.notes.frames, note)
}

// traceHeaderLocked notes a DATA frame that is received.
func (s *Session) traceHeaderLocked(h frameHeader) {
	s.notes.frames = append(s.notes.frames, Frame{Header: tracedHeader(h)})
}

func tracedHeader(h frameHeader) http2.FrameHeader {
	return http2.FrameHeader{Type: h.kind, Flags: h.flags, Length: uint32(h.length), StreamID: h.stream}
}

// detailOf describes the payload of a frame that has a fixed form.
func detailOf(frame []byte) string {
	h := parseFrameHeader(frame)
	payload := frame[frameHeaderSize:]
	u32 := func(i int) uint32 { return binary.BigEndian.Uint32(payload[i:]) }
	switch {
	case h.kind == http2.FrameWindowUpdate && len(payload) >= 4:
		return fmt.Sprintf("+%d", u32(0))
	case h.kind == http2.FrameRSTStream && len(payload) >= 4:
		return http2.ErrCode(u32(0)).String()
	case h.kind == http2.FrameGoAway && len(payload) >= 8:
		return fmt.Sprintf("last stream %d, %v %q", u32(0), http2.ErrCode(u32(4)), payload[8:])
	case h.kind == http2.FramePing && len(payload) >= 8:
		return fmt.Sprintf("%x", payload[:8])
	case h.kind == http2.FrameSettings:
		var text []string
		for i := 0; i+6 <= len(payload); i += 6 {
			id := http2.SettingID(binary.BigEndian.Uint16(payload[i:]))
			text = append(text, fmt.Sprintf("%v=%d", id, u32(i+2)))
		}
		return strings.Join(text, " ")
	}
	return ""
}
