package h2_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/internal/bounds"
	"github.com/seed004e8d11/websock/transport/h2"
)

// flood has the peer send what frames makes of a number, n times, or until the Session has ended. It
// returns how often.
func (p *peer) flood(n int, frames func(i uint32) []sentFrame) (sent int) {
	for i := range n {
		if p.session.Err() != nil {
			return i
		}
		p.send(frames(uint32(i))...)
	}
	return n
}

// Frames that are cheap and bring nothing, without end (RFC 9113 section 10.5).
func TestFloodsEndTheSession(t *testing.T) {
	const flood = 10_000
	always := func(frames ...sentFrame) func(uint32) []sentFrame { return func(uint32) []sentFrame { return frames } }
	for _, test := range []struct {
		name   string
		client bool
		frames func(i uint32) []sentFrame
	}{
		{"PING", server, always(ping("01234567"))},
		{"answers to PING", client, always(rawFrame(http2.FramePing, http2.FlagPingAck, 0, "01234567"))},
		{"SETTINGS", server, always(settings(4, 1000))},
		{"SETTINGS with 1,000 parameters", server, always(settings(slices.Repeat([]uint32{4, 1000}, 1000)...))},
		{"acknowledgements of SETTINGS", client, always(settingsAck())},
		{"requests that are reset", server, func(i uint32) []sentFrame { return []sentFrame{request(2*i+3, false), rst(2*i+3, 8)} }},
		{"RST_STREAM of a stream that has ended", client, always(rst(1, 8))},
		{"requests that are malformed", server, func(i uint32) []sentFrame { return []sentFrame{headers(2*i+3, true, field("A", "b"))} }},
		{"requests that are refused", server, func(i uint32) []sentFrame { return []sentFrame{request(2*i+3, false)} }},
		{"requests that violate a window", server, func(i uint32) []sentFrame { return []sentFrame{request(2*i+3, false), windowUpdate(2*i+3, 0)} }},
		{"empty DATA", server, always(data(1, ""))},
		{"DATA of a stream that has ended", server, func(i uint32) []sentFrame { return []sentFrame{rst(1, 8), data(1, "x")}[min(i, 1):] }},
		{"END_STREAM of a stream that we have reset", server, func(i uint32) []sentFrame {
			return []sentFrame{windowUpdate(1, 0), data(1, strings.Repeat("x", 61_000)), data(1, "", endStream)}[min(i, 2):]
		}},
		{"PRIORITY", server, always(rawFrame(http2.FramePriority, 0, 1, "\x00\x00\x00\x00\x10"))},
		{"unknown frames", server, always(rawFrame(77, 0, 0, ""))},
		{"GOAWAY", client, always(goAway(1, 0, "again"))},
		{"interim responses", client, always(headers(3, false, status("103")...))},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), test.client, h2.Config{Window: 60 << 10, MaxStreams: 100})
			p.open()
			if test.client {
				p.session.Open(connect, false)
			}
			sent := p.flood(flood, test.frames)
			var ended *h2.SessionError
			if !errors.As(p.session.Err(), &ended) || ended.Code != http2.ErrCodeEnhanceYourCalm {
				t.Fatalf("the end is %v after %d", p.session.Err(), sent)
			}
			if got := p.frames(); !strings.HasPrefix(got[len(got)-1], "GOAWAY") || !strings.HasSuffix(got[len(got)-1], "ENHANCE_YOUR_CALM") {
				t.Errorf("the last frame is %s", got[len(got)-1])
			}
		})
	}
}

// What a peer may well do is not taken for a flood.
func TestBusyPeersAreNoFlood(t *testing.T) {
	const streams = 2000
	for _, test := range []struct {
		name   string
		client bool
		act    func(p *peer, all []*h2.Stream)
	}{
		{"the client resets all streams at once", server, func(p *peer, all []*h2.Stream) {
			for _, st := range all {
				p.send(rst(st.ID(), 8))
			}
		}},
		{"the server resets all streams at once, again and again", client, func(p *peer, all []*h2.Stream) {
			for range 3 {
				for _, st := range all {
					p.send(rst(st.ID(), 0))
				}
				for i := range all {
					all[i] = p.open()
				}
			}
		}},
		{"streams that end properly, again and again", server, func(p *peer, all []*h2.Stream) {
			for _, st := range all {
				p.send(data(st.ID(), "", endStream))
				st.CloseWrite()
			}
			for range 5000 {
				st := p.open()
				p.send(data(st.ID(), "", endStream))
				st.CloseWrite()
			}
		}},
		{"100,000 messages of a byte", server, func(p *peer, all []*h2.Stream) {
			for _, st := range all {
				p.record(st)
			}
			for i := range 100_000 {
				p.send(data(all[i%streams].ID(), "x"))
			}
		}},
		{"100,000 updates of windows", server, func(p *peer, all []*h2.Stream) {
			for i := range 50_000 {
				p.send(windowUpdate(0, 100), windowUpdate(all[i%streams].ID(), 100))
			}
		}},
		{"some of everything", server, func(p *peer, all []*h2.Stream) {
			for range 200 {
				p.send(ping("01234567"), settings(3, 100), settingsAck(), rawFrame(77, 0, 0, ""), rawFrame(http2.FramePriority, 0, 1, "\x00\x00\x00\x00\x10"))
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, newWire(), test.client, h2.Config{MaxStreams: streams})
			var all []*h2.Stream
			for range streams {
				all = append(all, p.open())
			}
			test.act(p, all)
			if err := p.session.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A peer that sends such frames slowly goes on.
func TestNuisancesAreForgivenWithTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, newWire(), server, h2.Config{})
		pings := func(uint32) []sentFrame { return []sentFrame{ping("01234567")} }
		p.flood(990, pings)
		for range 20 {
			time.Sleep(time.Second)
			p.flood(200, pings)
		}
		if err := p.session.Err(); err != nil {
			t.Fatal(err)
		}
		if sent := p.flood(1000, pings); sent > 210 || p.session.Err() == nil {
			t.Errorf("%d more at once, %v", sent, p.session.Err())
		}
		synctest.Wait()
	})
}

// A peer that asks for answers and reads none can't make us keep them all.
func TestAnswersThatAreNotReadAreBounded(t *testing.T) {
	long := field("long", strings.Repeat("x", 500))
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprint("queues: ", !waits), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answered := 0
				p := newSilentPeer(t, newWire(), server, h2.Config{Request: func(st *h2.Stream, h h2.Head) {
					answered++
					st.SendHead([]hpack.HeaderField{status("404")[0], long, field("n", fmt.Sprint(answered))}, true)
				}})
				p.wire.waits, p.wire.room = waits, 0
				p.send(settings(1, 0), settingsAck())
				bounds.Check(t, 16<<20, func() {
					p.flood(100_000, func(i uint32) []sentFrame { return []sentFrame{request(2*i+1, true)} })
				})
				var ended *h2.SessionError
				if !errors.As(p.session.Err(), &ended) || ended.Code != http2.ErrCodeEnhanceYourCalm {
					t.Errorf("the end is %v after %d answers", p.session.Err(), answered)
				}
				if answered < 250 || answered > 5000 {
					t.Errorf("%d answers", answered)
				}
			})
		})
	}
}

// A client may open all the streams that it is allowed, and be slow to read.
func TestASlowClientGetsAllAnswers(t *testing.T) {
	const streams = 1000
	long := field("long", strings.Repeat("x", 500))
	p := newSilentPeer(t, newWire(), server, h2.Config{MaxStreams: streams, Request: func(st *h2.Stream, h h2.Head) {
		st.SendHead([]hpack.HeaderField{status("200")[0], long, field("n", fmt.Sprint(st.ID()))}, true)
	}})
	p.wire.waits, p.wire.room = true, 0
	p.send(settings(1, 0), settingsAck())
	for i := range uint32(streams) {
		p.send(request(2*i+1, true))
	}
	p.wire.drain()
	answers := 0
	for _, f := range p.frames() {
		if strings.HasPrefix(f, "HEADERS") {
			answers++
		}
	}
	if answers != streams || p.session.Err() != nil {
		t.Errorf("%d answers, %v", answers, p.session.Err())
	}
}

// A header list that is short on the wire and long when it is decompressed.
func TestAListThatDecompressesToMuchIsCut(t *testing.T) {
	var got h2.Head
	p := newSilentPeer(t, newWire(), server, h2.Config{Request: func(st *h2.Stream, h h2.Head) { got = h }})
	p.send(settings(), settingsAck(), headers(1, true, append(connect[:5:5], field("x", strings.Repeat("y", 3900)))...))
	bounds.Check(t, 4<<20, func() {
		list := append(connect[:5:5], slices.Repeat([]hpack.HeaderField{field("x", strings.Repeat("y", 3900))}, 10_000)...)
		p.send(headers(3, true, list...))
	})
	size := uint32(0)
	for _, f := range got.Fields {
		size += f.Size()
	}
	if !got.Truncated || size > h2.DefaultMaxHeaderBytes {
		t.Errorf("%d fields of %d bytes, truncated: %v", len(got.Fields), size, got.Truncated)
	}
	p.gets("SETTINGS", "WINDOW_UPDATE 16711681", "SETTINGS ACK")
}
