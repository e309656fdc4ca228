package h2

import (
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// A Frame is what Config.Trace is told about a frame (RFC 9113 section 4).
type Frame struct {
	Sent   bool                // by us
	Header http2.FrameHeader   // its type, flags, stream, and the length of its payload
	Fields []hpack.HeaderField // of a header list that was received
	Detail string              // what else it says, such as the values of SETTINGS; "" if that is nothing
}

// traceLocked notes a frame for Config.Trace. f is what the Framer has made of it, or nil.
func (s *Session) traceLocked(sent bool, frame []byte, f http2.Frame) {
	h := parseFrameHeader(frame)
	note := Frame{Sent: sent, Header: http2.FrameHeader{Type: h.kind, Flags: h.flags, Length: uint32(h.length), StreamID: h.stream}}
	if sent && h.kind != http2.FrameData {
		note.Detail = detailOf(frame)
	} else if !sent {
		note.Detail = detailOf(frame)
		if head, ok := f.(*http2.MetaHeadersFrame); ok {
			note.Fields = head.Fields
		}
	}
	s.notes.frames = append(s.notes.frames, note)
}

// traceHeaderLocked notes a DATA frame that is received.
func (s *Session) traceHeaderLocked(h frameHeader) {
	s.notes.frames = append(s.notes.frames, Frame{Header: http2.FrameHeader{Type: h.kind, Flags: h.flags, Length: uint32(h.length), StreamID: h.stream}})
}

// detailOf describes the payload of a frame that has a fixed form.
func detailOf(frame []byte) string {
	h := parseFrameHeader(frame)
	payload := frame[frameHeaderSize:]
	u32 := func(i int) uint32 {
		return uint32(payload[i])<<24 | uint32(payload[i+1])<<16 | uint32(payload[i+2])<<8 | uint32(payload[i+3])
	}
	switch {
	case h.kind == http2.FrameWindowUpdate && len(payload) >= 4:
		return fmt.Sprintf("+%d", u32(0))
	case h.kind == http2.FrameRSTStream && len(payload) >= 4:
		return http2.ErrCode(u32(0)).String()
	case h.kind == http2.FrameGoAway && len(payload) >= 8:
		return fmt.Sprintf("last stream %d, %v %s", u32(0), http2.ErrCode(u32(4)), payload[8:])
	case h.kind == http2.FramePing && len(payload) >= 8:
		return fmt.Sprintf("%x", payload[:8])
	case h.kind == http2.FrameSettings:
		text := ""
		for i := 0; i+6 <= len(payload); i += 6 {
			id := http2.SettingID(uint16(payload[i])<<8 | uint16(payload[i+1]))
			text += fmt.Sprintf(" %v=%d", id, u32(i+2))
		}
		return text
	}
	return ""
}
