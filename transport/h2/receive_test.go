package h2_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport/h2"
)

const (
	client = true
	server = false
)

// Frames that violate the RFC, and what the Session does then. Stream 1 is open.
func TestViolationsEndTheStreamOrTheSession(t *testing.T) {
	end := http2.FlagDataEndStream
	padded := http2.FlagDataPadded
	for _, test := range []struct {
		name   string
		client bool
		frames []sentFrame
		want   []string
	}{
		// RFC 9113 section 4.2, 5.5
		{"a frame that is too long", server, []sentFrame{data(1, strings.Repeat("x", 64<<10+1))}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},
		{"an unknown frame that is too long", server, []sentFrame{rawFrame(77, 0, 0, strings.Repeat("x", 64<<10+1))}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},
		{"an unknown frame", server, []sentFrame{rawFrame(77, 255, 99, "x")}, nil},
		{"an unknown frame that is as long as allowed", server, []sentFrame{rawFrame(77, 0, 1, strings.Repeat("x", 64<<10))}, nil},

		// 6.1 DATA, 5.1 the states of streams
		{"DATA", server, []sentFrame{data(1, "x")}, nil},
		{"DATA of no stream", server, []sentFrame{data(0, "x")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"DATA of an idle stream", server, []sentFrame{data(3, "x")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"DATA of an even stream", client, []sentFrame{data(2, "x")}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"DATA of a stream that we have not opened", client, []sentFrame{data(3, "x")}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"DATA after END_STREAM", server, []sentFrame{data(1, "x", end), data(1, "y")}, []string{"RST_STREAM 1 STREAM_CLOSED"}},
		{"DATA after RST_STREAM", server, []sentFrame{rst(1, 8), data(1, "y")}, []string{"RST_STREAM 1 STREAM_CLOSED"}},
		{"all padding", server, []sentFrame{data(1, "\x02\x00\x00", padded)}, nil},
		{"padding of the size of the frame", server, []sentFrame{data(1, "\x03xy", padded)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"padding longer than the frame", server, []sentFrame{data(1, "\x04xy", padded)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"padding without a length", server, []sentFrame{data(1, "", padded)}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},

		// 6.2 HEADERS, 5.1.1 numbers of streams
		{"HEADERS of no stream", server, []sentFrame{headers(0, false, connect...)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"a request of an even stream", server, []sentFrame{request(2, false)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"a request with a number that is too low", server, []sentFrame{request(5, false), request(3, false)}, []string{"HEADERS 5 :status=200", "GOAWAY 5 STREAM_CLOSED"}},
		{"HEADERS after RST_STREAM", server, []sentFrame{rst(1, 8), headers(1, true)}, []string{"GOAWAY 1 STREAM_CLOSED"}},
		{"a trailer of a stream that was reset", server, []sentFrame{windowUpdate(1, 0), headers(1, true)}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"DATA of a stream that both have reset", server, []sentFrame{windowUpdate(1, 0), rst(1, 8), data(1, "x")}, []string{"RST_STREAM 1 PROTOCOL_ERROR", "RST_STREAM 1 STREAM_CLOSED"}},
		{"HEADERS after END_STREAM", server, []sentFrame{data(1, "", end), headers(1, true)}, []string{"RST_STREAM 1 STREAM_CLOSED"}},
		{"HEADERS of a stream that we have not opened", client, []sentFrame{headers(3, false, status("200")...)}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"HEADERS of an even stream", client, []sentFrame{headers(2, false, status("200")...)}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"padding longer than HEADERS", server, []sentFrame{rawFrame(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders, 3, "\x09abc")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"HEADERS without a priority", server, []sentFrame{rawFrame(http2.FrameHeaders, http2.FlagHeadersPriority|http2.FlagHeadersEndHeaders, 3, "abc")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"a trailer that isn't the end", server, []sentFrame{headers(1, false, field("a", "b"))}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"a trailer with a pseudo-header field", server, []sentFrame{headers(1, true, field(":path", "/"))}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"a second response", client, []sentFrame{headers(1, true, status("200")...)}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"bytes that are no header list", server, []sentFrame{rawFrame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 3, "\xff\xff\xff\xff\xff\xff\xff\xff")}, []string{"GOAWAY 1 COMPRESSION_ERROR"}},

		// 8.2 and 8.3, header lists
		{"a name with upper case", server, []sentFrame{headers(3, false, append(connect[:5:5], field("Abc", "x"))...)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},
		{"a value with a line feed", server, []sentFrame{headers(3, false, append(connect[:5:5], field("abc", "x\ny"))...)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},
		{"an unknown pseudo-header field", server, []sentFrame{headers(3, false, append(connect[:5:5], field(":x", "y"))...)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},
		{"a pseudo-header field twice", server, []sentFrame{headers(3, false, append(connect[:5:5], connect[0])...)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},
		{"a pseudo-header field at the end", server, []sentFrame{headers(3, false, append([]hpack.HeaderField{field("a", "b")}, connect...)...)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},
		{"a request with a status", server, []sentFrame{headers(3, false, append(connect[:5:5], status("200")...)...)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},
		{"a malformed request, then DATA of it", server, []sentFrame{headers(3, false, field("A", "b")), data(3, "x"), data(3, "y", end)}, []string{"RST_STREAM 3 PROTOCOL_ERROR"}},

		// 6.3 PRIORITY
		{"PRIORITY", server, []sentFrame{rawFrame(http2.FramePriority, 0, 99, "\x00\x00\x00\x01\x10")}, nil},
		{"PRIORITY of no stream", server, []sentFrame{rawFrame(http2.FramePriority, 0, 0, "\x00\x00\x00\x01\x10")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},

		// 6.4 RST_STREAM
		{"RST_STREAM of no stream", server, []sentFrame{rst(0, 8)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"RST_STREAM of an idle stream", server, []sentFrame{rst(3, 8)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"RST_STREAM twice", server, []sentFrame{rst(1, 8), rst(1, 8)}, nil},
		{"RST_STREAM of three bytes", server, []sentFrame{rawFrame(http2.FrameRSTStream, 0, 1, "\x00\x00\x08")}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},

		// 6.5 SETTINGS
		{"SETTINGS of a stream", server, []sentFrame{rawFrame(http2.FrameSettings, 0, 1, "")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"SETTINGS of five bytes", server, []sentFrame{rawFrame(http2.FrameSettings, 0, 0, "12345")}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},
		{"an acknowledgement with content", server, []sentFrame{rawFrame(http2.FrameSettings, http2.FlagSettingsAck, 0, "123456")}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},
		{"an unknown setting", server, []sentFrame{settings(99, 1)}, []string{"SETTINGS ACK"}},
		{"a setting twice", server, []sentFrame{settings(3, 1, 3, 2)}, []string{"SETTINGS ACK"}},
		{"ENABLE_PUSH of 2", server, []sentFrame{settings(2, 2)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"ENABLE_PUSH of a client", server, []sentFrame{settings(2, 1)}, []string{"SETTINGS ACK"}},
		{"ENABLE_PUSH of a server", client, []sentFrame{settings(2, 1)}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"a window that is too large", server, []sentFrame{settings(4, 1<<31)}, []string{"GOAWAY 1 FLOW_CONTROL_ERROR"}},
		{"frames that are too short", server, []sentFrame{settings(5, 16<<10-1)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"frames that are too long", server, []sentFrame{settings(5, 1<<24)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"extended CONNECT of 2", client, []sentFrame{settings(8, 2)}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"extended CONNECT withdrawn", client, []sentFrame{settings(8, 1), settings(8, 0)}, []string{"SETTINGS ACK", "GOAWAY 0 PROTOCOL_ERROR"}},
		{"settings that make a window too large", server, []sentFrame{windowUpdate(1, 1<<31-1-65535), settings(4, 65536)}, []string{"GOAWAY 1 FLOW_CONTROL_ERROR"}},

		// 6.6 PUSH_PROMISE
		{"PUSH_PROMISE of a server", client, []sentFrame{rawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, numbers(2))}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"PUSH_PROMISE of a client", server, []sentFrame{rawFrame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, numbers(2))}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},

		// 6.7 PING
		{"PING", server, []sentFrame{ping("01234567")}, []string{`PING ACK "01234567"`}},
		{"the answer to a PING that was not sent", server, []sentFrame{rawFrame(http2.FramePing, http2.FlagPingAck, 0, "01234567")}, nil},
		{"PING of a stream", server, []sentFrame{rawFrame(http2.FramePing, 0, 1, "01234567")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"PING of seven bytes", server, []sentFrame{ping("0123456")}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},

		// 6.8 GOAWAY
		{"GOAWAY of a stream", client, []sentFrame{rawFrame(http2.FrameGoAway, 0, 1, "01234567")}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"GOAWAY of seven bytes", client, []sentFrame{rawFrame(http2.FrameGoAway, 0, 0, "0123456")}, []string{"GOAWAY 0 FRAME_SIZE_ERROR"}},

		// 6.9 WINDOW_UPDATE
		{"WINDOW_UPDATE of three bytes", server, []sentFrame{rawFrame(http2.FrameWindowUpdate, 0, 1, "123")}, []string{"GOAWAY 1 FRAME_SIZE_ERROR"}},
		{"WINDOW_UPDATE of 0 for a stream", server, []sentFrame{windowUpdate(1, 0)}, []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"WINDOW_UPDATE of 0 for the connection", server, []sentFrame{windowUpdate(0, 0)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"the largest window of a stream", server, []sentFrame{windowUpdate(1, 1<<31-1-65535)}, nil},
		{"a window of a stream that is too large", server, []sentFrame{windowUpdate(1, 1<<31-65535)}, []string{"RST_STREAM 1 FLOW_CONTROL_ERROR"}},
		{"the largest window of the connection", server, []sentFrame{windowUpdate(0, 1<<31-1-65535)}, nil},
		{"a window of the connection that is too large", server, []sentFrame{windowUpdate(0, 1<<31-65535)}, []string{"GOAWAY 1 FLOW_CONTROL_ERROR"}},
		{"WINDOW_UPDATE of an idle stream", server, []sentFrame{windowUpdate(3, 1)}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"WINDOW_UPDATE of a stream that has ended", server, []sentFrame{rst(1, 8), windowUpdate(1, 1)}, nil},
		{"WINDOW_UPDATE after END_STREAM", server, []sentFrame{data(1, "", end), windowUpdate(1, 1)}, nil},

		// 6.10 CONTINUATION
		{"CONTINUATION without a header list", server, []sentFrame{rawFrame(http2.FrameContinuation, 4, 1, "")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"DATA within a header list", server, []sentFrame{rawFrame(http2.FrameHeaders, 0, 3, ""), data(1, "x")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"an unknown frame within a header list", server, []sentFrame{rawFrame(http2.FrameHeaders, 0, 3, ""), rawFrame(77, 0, 3, "x")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"CONTINUATION of another stream", server, []sentFrame{rawFrame(http2.FrameHeaders, 0, 3, ""), rawFrame(http2.FrameContinuation, 4, 1, "")}, []string{"GOAWAY 1 PROTOCOL_ERROR"}},
		{"a header list in 30 frames", server, []sentFrame{headersIn(30, 3, false, connect...)}, []string{"HEADERS 3 :status=200"}},
		{"a header list in 1,000 frames", server, []sentFrame{headersIn(1000, 3, false, connect...)}, []string{"GOAWAY 1 ENHANCE_YOUR_CALM"}},
		{"a header list without end", server, append([]sentFrame{rawFrame(http2.FrameHeaders, 0, 3, "")}, slices.Repeat([]sentFrame{rawFrame(http2.FrameContinuation, 0, 3, strings.Repeat("x", 60<<10))}, 3)...), []string{"GOAWAY 1 ENHANCE_YOUR_CALM"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), test.client, h2.Config{})
			p.open()
			p.frames()
			p.send(test.frames...)
			p.gets(test.want...)
			ends := slices.ContainsFunc(test.want, func(f string) bool { return strings.HasPrefix(f, "GOAWAY") })
			var err *h2.SessionError
			if ended := errors.As(p.session.Err(), &err); ended != ends {
				t.Fatalf("the Session has ended with %v", p.session.Err())
			}
			if ends && (err.Remote || err.Rule == "" || !strings.HasSuffix(test.want[len(test.want)-1], err.Code.String())) {
				t.Errorf("the error is %+v", err)
			}
			if ends != p.wire.closed {
				t.Errorf("the carrier is closed: %v", p.wire.closed)
			}
		})
	}
}

func field(name, value string) hpack.HeaderField { return hpack.HeaderField{Name: name, Value: value} }

// What comes first is the client's preface, and SETTINGS.
func TestTheFirstFrameMustBeSettings(t *testing.T) {
	for _, test := range []struct {
		name   string
		client bool
		frames []sentFrame
		want   []string
	}{
		{"SETTINGS", client, []sentFrame{settings()}, []string{"SETTINGS ACK"}},
		{"DATA", client, []sentFrame{data(1, "x")}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"PING", server, []sentFrame{ping("01234567")}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"an unknown frame", server, []sentFrame{rawFrame(77, 0, 0, "")}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"an acknowledgement", client, []sentFrame{settingsAck()}, []string{"GOAWAY 0 PROTOCOL_ERROR"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newSilentPeer(t, newWire(), test.client, h2.Config{})
			p.gets("SETTINGS", fmt.Sprint("WINDOW_UPDATE ", 16<<20-65535))
			p.send(test.frames...)
			p.gets(test.want...)
		})
	}
}

// A client that begins with HTTP/2 may meet a server that doesn't know it.
func TestTheErrorTellsWhatIsNoHTTP2(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 400 Bad Request\r\n\r\n": "the peer speaks HTTP/1.1",
		"HTTP/1.0 505 No\r\n\r\n":          "the peer speaks HTTP/1.1",
		"<!DOCTYPE HTML>":                  "the first frame is not SETTINGS",
	} {
		p := newSilentPeer(t, newWire(), client, h2.Config{})
		p.sendBytes([]byte(answer))
		var err *h2.SessionError
		if !errors.As(p.session.Err(), &err) || err.Code != http2.ErrCodeProtocol || err.Remote || err.Rule != want {
			t.Errorf("%q: %v", answer, p.session.Err())
		}
	}
}

func TestTheClientsPrefaceIsChecked(t *testing.T) {
	for _, test := range []struct {
		name, sent string
		want       []string
	}{
		{"right", http2.ClientPreface, []string{"SETTINGS ACK"}},
		{"HTTP/1.1", "GET / HTTP/1.1\r\n", []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"wrong at the end", http2.ClientPreface[:23] + "x", []string{"GOAWAY 0 PROTOCOL_ERROR"}},
		{"no preface", "", []string{"GOAWAY 0 PROTOCOL_ERROR"}},
	} {
		for _, size := range []int{1, 7, 1000} {
			t.Run(fmt.Sprint(test.name, " in pieces of ", size), func(t *testing.T) {
				w := newWire()
				p := newSilentPeer(t, w, server, h2.Config{})
				p.session.Close(0, nil)
				w = newWire()
				var err error
				if p.session, err = h2.NewServer(w, h2.Config{}); err != nil {
					t.Fatal(err)
				}
				p.wire = w
				p.in.Reset()
				p.frames()
				for piece := range slices.Chunk(append([]byte(test.sent), p.bytes(settings())...), size) {
					p.sendBytes(piece)
				}
				p.gets(test.want...)
			})
		}
	}
}

// However the bytes are cut, the Session does the same.
func TestFramesCutAnywhereAreTheSame(t *testing.T) {
	for _, size := range []int{0, 50 << 10} { // of the payload of the last DATA frame
		var want []string
		cut := func(t *testing.T, cuts func(all []byte) [][]byte) {
			p, events := newEventPeer(t)
			all := p.bytes(
				settings(4, 100), settingsAck(), ping("01234567"),
				headersIn(3, 1, false, connect...),
				data(1, "abc"), data(1, "\x05defghxxxxx", http2.FlagDataPadded), data(1, "\x00", http2.FlagDataPadded),
				rawFrame(77, 3, 0, "unknown"),
				headersIn(1, 3, true, connect...),
				windowUpdate(1, 10), windowUpdate(0, 1000), settings(),
				rawFrame(http2.FramePriority, 0, 5, "\x00\x00\x00\x01\x10"),
				data(1, "x"), data(1, ""),
				headersIn(2, 1, true, field("trailer", "value")),
				headersIn(1, 5, false, connect...),
				rst(5, http2.ErrCodeCancel),
				headersIn(1, 7, false, connect...),
				data(7, strings.Repeat("y", size)), data(7, "", endStream),
			)
			for _, piece := range cuts(all) {
				p.sendBytes(bytes.Clone(piece))
			}
			got := append(byStream(p.frames(), 1), byStream(events(), 0)...)
			switch {
			case want == nil:
				want = got
			case !slices.Equal(got, want):
				t.Fatalf("got %q,\nwant %q", got, want)
			}
		}
		cut(t, func(all []byte) [][]byte { return [][]byte{all} })
		if !slices.Contains(want, `1 : "abcdefghx"`) || !slices.Contains(want, "1 : EOF trailer=value") || len(want) < 15 {
			t.Fatalf("too little arrives: %q", want)
		}
		if size > 0 {
			for _, n := range []int{1000, 4096, 16 << 10} {
				cut(t, func(all []byte) [][]byte { return slices.Collect(slices.Chunk(all, n)) })
			}
			continue
		}
		var length int
		cut(t, func(all []byte) [][]byte { length = len(all); return slices.Collect(slices.Chunk(all, 1)) })
		for at := range length {
			cut(t, func(all []byte) [][]byte { return [][]byte{all[:at], all[at:]} })
		}
	}
}

// byStream sorts events by the number of their stream, which is their word i. Streams whose Receivers are
// called later, at the end of a turn, come in another order.
func byStream(events []string, i int) []string {
	number := func(event string) (n int) {
		if words := strings.Fields(event); len(words) > i {
			n, _ = strconv.Atoi(words[i])
		}
		return n
	}
	slices.SortStableFunc(events, func(a, b string) int { return number(a) - number(b) })
	return events
}

// newEventPeer returns the peer of a server that tells all it gets, payload as a whole for each stream.
func newEventPeer(t *testing.T) (p *peer, events func() []string) {
	var log []string
	payload := map[uint32][]byte{}
	p = newSilentPeer(t, newWire(), server, h2.Config{Request: func(st *h2.Stream, h h2.Head) {
		log = append(log, fmt.Sprint(st.ID(), " request", listed(h.Fields), h.EndStream))
		r := &recorder{st: st, on: func(view []byte) { payload[st.ID()] = append(payload[st.ID()], view...) }}
		st.Push(&eventReceiver{recorder: r, end: func(err error) {
			log = append(log, fmt.Sprintf("%d : %q", st.ID(), payload[st.ID()]), fmt.Sprint(st.ID(), " : ", err, listed(st.Trailer())))
		}})
	}})
	return p, func() []string { return log }
}

func listed(fields []hpack.HeaderField) (text string) {
	for _, f := range fields {
		text += fmt.Sprintf(" %s=%s", f.Name, f.Value)
	}
	return text
}

// An eventReceiver is a recorder that tells the end.
type eventReceiver struct {
	*recorder
	end func(err error)
}

func (r *eventReceiver) Readable() error {
	err := r.recorder.Readable()
	if err != nil {
		r.end(err)
	}
	return err
}

// Heads of responses: interim ones are skipped, malformed ones end the stream.
func TestResponses(t *testing.T) {
	for _, test := range []struct {
		name   string
		frames []sentFrame
		want   string // of the status and the body, or the error
		sent   []string
	}{
		{"a response and a body", []sentFrame{headers(1, false, status("200")...), data(1, "body", endStream)}, "200 body", nil},
		{"no body", []sentFrame{headers(1, true, status("404")...)}, "404 ", nil},
		{"interim responses", []sentFrame{headers(1, false, status("100")...), headers(1, false, status("103")...), headers(1, false, status("200")...), data(1, "", endStream)}, "200 ", nil},
		{"an interim response at the end", []sentFrame{headers(1, true, status("100")...)}, "stream reset: PROTOCOL_ERROR", []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"no status", []sentFrame{headers(1, false, field("a", "b"))}, "stream reset: PROTOCOL_ERROR", []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"a request", []sentFrame{headers(1, false, connect...)}, "stream reset: PROTOCOL_ERROR", []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"nothing", []sentFrame{headers(1, false)}, "stream reset: PROTOCOL_ERROR", []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"DATA before the head", []sentFrame{data(1, "x")}, "stream reset: PROTOCOL_ERROR", []string{"RST_STREAM 1 PROTOCOL_ERROR"}},
		{"reset", []sentFrame{rst(1, http2.ErrCodeInternal)}, "the peer has reset the stream: INTERNAL_ERROR", nil},
		{"refused", []sentFrame{rst(1, http2.ErrCodeRefusedStream)}, "the peer has reset the stream: REFUSED_STREAM", nil},
		{"GOAWAY", []sentFrame{goAway(0, 0, "later")}, "the peer has ended the connection: NO_ERROR: later: websock: HTTP/2: the peer has not processed the request", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), client, h2.Config{})
			st, err := p.session.Open(connect, true)
			if err != nil {
				t.Fatal(err)
			}
			p.frames()
			p.send(test.frames...)
			p.gets(test.sent...)
			head, err := st.Head(t.Context())
			got := ""
			if err == nil {
				body, readErr := io.ReadAll(st)
				got, err = head.Fields[0].Value+" "+string(body), readErr
			}
			if err != nil {
				got = err.Error()
			}
			if !strings.Contains(got, test.want) {
				t.Errorf("%q, want %q", got, test.want)
			}
			if refused := test.name == "refused" || test.name == "GOAWAY"; errors.Is(err, h2.ErrRefused) != refused {
				t.Errorf("ErrRefused: %v", !refused)
			}
			if n := p.session.Streams(); n != 0 {
				t.Errorf("%d streams are left", n)
			}
		})
	}
}

func TestARequestThatIsTooLargeIsTruncated(t *testing.T) {
	var got h2.Head
	p := newSilentPeer(t, newWire(), server, h2.Config{MaxHeaderBytes: 1000, Request: func(st *h2.Stream, h h2.Head) { got = h }})
	p.send(settings(), headers(1, false, append(connect[:5:5], field("long", strings.Repeat("x", 900)))...))
	if !got.Truncated || len(got.Fields) != 5 {
		t.Errorf("%+v", got)
	}
	p.send(headers(3, false, connect...)) // the table of the compression is still right
	if got.Truncated || !slices.Equal(got.Fields, connect) {
		t.Errorf("%+v", got)
	}
}

func TestStreamsBeyondTheLimitAreRefused(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{MaxStreams: 2})
	p.send(request(1, false), request(3, false), request(5, false), data(5, "x"), rst(1, 8), request(7, false))
	p.gets("HEADERS 1 :status=200", "HEADERS 3 :status=200", "RST_STREAM 5 REFUSED_STREAM", "HEADERS 7 :status=200")
	if n := p.session.Streams(); n != 2 {
		t.Errorf("%d streams", n)
	}
}

func TestSettingsAreReported(t *testing.T) {
	p := newSilentPeer(t, newWire(), client, h2.Config{})
	p.send(settings(1, 100, 3, 7, 4, 1000, 5, 20000, 6, 50, 8, 1, 99, 5))
	want := h2.Settings{MaxStreams: 7, ExtendedConnect: true, Window: 1000, MaxFrame: 20000}
	if got, err := p.session.Settings(t.Context()); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	p.send(settings(3, 5, 3, 6))
	want.MaxStreams = 6
	if got, err := p.session.Settings(t.Context()); got != want || err != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if room := p.session.Room(); room != 6 {
		t.Errorf("room for %d streams", room)
	}
}

// A server that has no limit of streams says nothing. Room is not negative on any machine.
func TestAServerWithoutALimitHasRoom(t *testing.T) {
	p := newSilentPeer(t, newWire(), client, h2.Config{})
	if room := p.session.Room(); room != 100 {
		t.Errorf("room for %d before the SETTINGS", room)
	}
	p.send(settings())
	if room := p.session.Room(); room < 1<<30 {
		t.Errorf("room for %d", room)
	}
}

func TestGoAway(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	var ended []error
	first := p.open()
	second, _ := p.session.Open(connect, false)
	third, _ := p.session.Open(connect, false)
	third.OnEnd(func(err error) { ended = append(ended, err) })
	r := p.record(first)
	p.frames()
	p.send(goAway(1<<31-1, 0, ""), headers(3, false, status("200")...))
	if !p.session.GoingAway() || p.session.Room() != 0 {
		t.Error("it is not going away")
	}
	if _, err := second.Head(t.Context()); err != nil {
		t.Errorf("a stream that was accepted: %v", err)
	}
	p.send(goAway(3, 0, "restart"))
	_, err := third.Head(t.Context())
	var sessionErr *h2.SessionError
	if !errors.Is(err, h2.ErrRefused) || !errors.As(err, &sessionErr) || !sessionErr.Remote || sessionErr.Rule != "restart" {
		t.Errorf("a stream above the last one: %v", err)
	}
	if len(ended) != 1 || !errors.Is(ended[0], h2.ErrRefused) {
		t.Errorf("OnEnd got %v", ended)
	}
	if _, err := p.session.Open(connect, false); !errors.Is(err, h2.ErrNoRoom) {
		t.Errorf("a new stream: %v", err)
	}
	first.Writev([]byte("x"))
	p.send(data(1, "abc", endStream))
	first.CloseWrite()
	p.gets(`DATA 1 "x"`, `DATA 1 "" END_STREAM`)
	r.got(t, `"abc"`, "EOF")
	if p.session.Err() != nil {
		t.Fatal("it has ended too early")
	}
	p.send(rst(3, 8))
	if err := p.session.Err(); !errors.As(err, &sessionErr) || !sessionErr.Remote || sessionErr.Rule != "restart" {
		t.Errorf("the Session ended with %v", err)
	}
	if !p.wire.closed {
		t.Error("the carrier is open")
	}
}

// A GOAWAY before the connection ends says why.
func TestTheReasonOfAGoAwayIsThatOfTheEnd(t *testing.T) {
	p := newPeer(t, newWire(), client, h2.Config{})
	st := p.open()
	p.send(goAway(1, http2.ErrCodeEnhanceYourCalm, "too many pings"))
	p.wire.viewErr = io.EOF
	p.wire.turn()
	_, err := st.View()
	var ended *h2.SessionError
	if !errors.As(err, &ended) || !ended.Remote || ended.Code != http2.ErrCodeEnhanceYourCalm || ended.Rule != "too many pings" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
}

// A client that has sent GOAWAY may not do so, but it gets an answer.
func TestARequestAfterTheClientsGoAwayIsRefused(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{})
	p.send(request(1, false), goAway(0, 0, ""), request(3, false), data(3, "x"))
	p.gets("HEADERS 1 :status=200", "RST_STREAM 3 REFUSED_STREAM")
	p.send(rst(1, 8))
	if p.session.Err() == nil {
		t.Error("it has not ended")
	}
}

func TestTrailersArrive(t *testing.T) {
	p := newPeer(t, newWire(), server, h2.Config{})
	p.send(request(1, false), data(1, "abc"), headers(1, true, field("a", "b")))
	st := p.accepted()
	if body, err := io.ReadAll(st); string(body) != "abc" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if got := st.Trailer(); len(got) != 1 || got[0].Name != "a" || got[0].Value != "b" {
		t.Errorf("%v", got)
	}
}
