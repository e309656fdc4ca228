package connect

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// beginsHTTP2 reports whether p are the first bytes of an HTTP/2 connection: of the client's preface, or
// of the server's SETTINGS frame, which is shorter than 64 KiB. No WebSocket connection begins so.
func beginsHTTP2(sent bool, p []byte) bool {
	if sent {
		return p[0] == http2.ClientPreface[0]
	}
	return p[0] == 0
}

// An http2Log parses the HTTP/2 frames of one direction and writes them to out (RFC 9113). Below each
// DATA frame it writes the WebSocket frames that the frame completes.
type http2Log struct {
	mark    string // "<" or ">"
	out     io.Writer
	invalid bool   // the bytes are not frames
	preface string // that has still to come
	begun   bool   // the first frame, which must be SETTINGS, has begun
	rest    []byte // of an incomplete frame
	source  bytes.Reader
	framer  *http2.Framer
	headers *hpack.Decoder
	fields  []hpack.HeaderField // that headers has decompressed
	streams map[uint32]*frameLog
}

const (
	frameHeaderSize = 9
	maxFrame        = 1<<24 - 1 // bytes of payload; which frames are too large is for the session to say
	headerTable     = 4096      // bytes of the table for decompression: the default, which neither side changes
)

func newHTTP2Log(mark string, out io.Writer, preface string) *http2Log {
	l := &http2Log{mark: mark, out: out, preface: preface, streams: map[uint32]*frameLog{}}
	l.framer = http2.NewFramer(nil, &l.source)
	l.framer.SetMaxReadFrameSize(maxFrame)
	l.framer.AllowIllegalReads = true
	l.headers = hpack.NewDecoder(headerTable, func(f hpack.HeaderField) { l.fields = append(l.fields, f) })
	return l
}

// add logs the frames that p completes.
func (l *http2Log) add(p []byte) {
	l.rest = append(l.rest, p...)
	if l.preface != "" {
		l.addPreface()
	}
	for len(l.rest) >= frameHeaderSize && !l.invalid {
		header, _ := http2.ReadFrameHeader(bytes.NewReader(l.rest))
		if l.invalid = !l.begun && header.Type != http2.FrameSettings; l.invalid {
			fmt.Fprintf(l.out, "%s no HTTP/2: %q\n", l.mark, l.rest[:min(len(l.rest), maxShown)])
			return
		}
		l.begun = true
		size := frameHeaderSize + int(header.Length)
		if len(l.rest) < size {
			return
		}
		l.addFrame(l.rest[:size])
		l.rest = l.rest[size:]
	}
}

// addPreface logs what a client sends first, once it is complete.
func (l *http2Log) addPreface() {
	n := min(len(l.rest), len(l.preface))
	l.rest, l.preface = l.rest[n:], l.preface[n:]
	if l.preface == "" {
		fmt.Fprintf(l.out, "%s HTTP/2 preface\n", l.mark)
	}
}

// addFrame logs a frame.
func (l *http2Log) addFrame(frame []byte) {
	l.source.Reset(frame)
	f, err := l.framer.ReadFrame()
	if err != nil {
		header, _ := http2.ReadFrameHeader(bytes.NewReader(frame))
		fmt.Fprintf(l.out, "%s HTTP/2 %s: malformed: %v\n", l.mark, describeHeader(header), err)
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s HTTP/2 %s", l.mark, describeHeader(f.Header()))
	if text := describePayload(f); text != "" {
		b.WriteString(": " + text)
	}
	b.WriteByte('\n')
	for _, field := range l.decompress(f) {
		if field.Name == ":status" && field.Value >= "3" {
			l.stream(f.Header().StreamID).invalid = true // what follows is a page, and no WebSocket
		}
		fmt.Fprintf(&b, "%s   %s: %s\n", l.mark, console.Printable([]byte(field.Name)), console.Printable([]byte(shown(field))))
	}
	io.WriteString(l.out, b.String())
	if data, ok := f.(*http2.DataFrame); ok {
		l.stream(data.StreamID).add(data.Data())
	}
}

// stream returns the log of the WebSocket frames of a stream.
func (l *http2Log) stream(id uint32) *frameLog {
	if l.streams[id] == nil {
		l.streams[id] = &frameLog{mark: l.mark, out: l.out}
	}
	return l.streams[id]
}

// decompress returns the header fields that are complete with this frame.
func (l *http2Log) decompress(f http2.Frame) []hpack.HeaderField {
	l.fields = l.fields[:0]
	var err error
	switch f := f.(type) {
	case *http2.HeadersFrame:
		_, err = l.headers.Write(f.HeaderBlockFragment())
	case *http2.ContinuationFrame:
		_, err = l.headers.Write(f.HeaderBlockFragment())
	case *http2.PushPromiseFrame:
		_, err = l.headers.Write(f.HeaderBlockFragment())
	default:
		return nil
	}
	if err == nil && f.Header().Flags.Has(http2.FlagHeadersEndHeaders) { // the same bit in all of them
		err = l.headers.Close()
	}
	if err != nil {
		l.fields = append(l.fields, hpack.HeaderField{Name: "not decompressed", Value: err.Error()})
	}
	return l.fields
}

// shown returns the value of a header field, unless that is a credential. Fields that the sender
// has marked as sensitive are credentials, too, but for the path of a request.
func shown(f hpack.HeaderField) string {
	if isCredential(f.Name) || f.Sensitive && !f.IsPseudo() {
		return hidden
	}
	return f.Value
}

// describeHeader returns type, stream, flags and length of a frame.
func describeHeader(h http2.FrameHeader) string {
	text := fmt.Sprintf("%v, stream %d", h.Type, h.StreamID)
	for _, flag := range frameFlags {
		if h.Flags.Has(flag.bit) && strings.Contains(flag.types, h.Type.String()) {
			text += ", " + flag.name
		}
	}
	return fmt.Sprintf("%s, %s bytes", text, console.Grouped(int(h.Length)))
}

// frameFlags are the flags of frames, and the types of frames that have them.
var frameFlags = []struct {
	bit         http2.Flags
	name, types string
}{
	{http2.FlagSettingsAck, "ACK", "SETTINGS PING"},
	{http2.FlagDataEndStream, "END_STREAM", "DATA HEADERS"},
	{http2.FlagHeadersEndHeaders, "END_HEADERS", "HEADERS CONTINUATION PUSH_PROMISE"},
	{http2.FlagDataPadded, "PADDED", "DATA HEADERS PUSH_PROMISE"},
	{http2.FlagHeadersPriority, "PRIORITY", "HEADERS"},
}

// describePayload returns what a frame says that has neither header fields nor data, or "".
func describePayload(f http2.Frame) string {
	switch f := f.(type) {
	case *http2.SettingsFrame:
		var settings []string
		f.ForeachSetting(func(s http2.Setting) error {
			settings = append(settings, fmt.Sprintf("%v %d", s.ID, s.Val))
			return nil
		})
		return strings.Join(settings, ", ")
	case *http2.WindowUpdateFrame:
		return fmt.Sprintf("%d more", f.Increment)
	case *http2.PingFrame:
		return fmt.Sprintf("%x", f.Data)
	case *http2.RSTStreamFrame:
		return f.ErrCode.String()
	case *http2.GoAwayFrame:
		return fmt.Sprintf("last stream %d, %v %q", f.LastStreamID, f.ErrCode, f.DebugData())
	}
	return ""
}
