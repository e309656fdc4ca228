package compat

import (
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

var seeds = flag.Uint64("seeds", 200, "random scenarios in each role")

// randomScenario has the peer send frames, valid ones and others, and then close or end the stream,
// and calls methods in any order. It is the same for the same seed. If both close, it is with the
// same code, as reads of compat/gorilla then return that of our message.
func randomScenario(seed uint64) func(s *session) {
	return func(s *session) {
		r := rand.New(rand.NewPCG(seed, 0))
		for range r.IntN(6) {
			sendRandomly(s.peer, r)
		}
		code := []int{0, 1000, 1001, 4000, 1005, 2999}[r.IntN(6)]
		s.peer.close(code, "")
		for range 4 + r.IntN(8) {
			callRandomly(s, r, code)
		}
	}
}

func sendRandomly(p *peer, r *rand.Rand) {
	payload := strings.Repeat("p", []int{0, 1, 10, 125, 126, 5000}[r.IntN(6)])
	switch r.IntN(8) {
	case 0:
		p.ping(payload[:min(len(payload), 125)])
	case 1:
		p.send(ws.OpPong, true, "pong")
	case 2:
		// gorilla counts the fragments that NextReader skips for the limit of the next message, so
		// they are short.
		p.send(ws.OpBinary, false, payload[:len(payload)/100])
		p.ping("in between")
		p.send(ws.OpContinuation, true, payload[:len(payload)/100])
	case 3:
		if r.IntN(4) == 0 {
			p.send([]ws.OpCode{3, ws.OpContinuation, 11}[r.IntN(3)], true, payload)
		}
	default:
		p.text(payload)
	}
}

func callRandomly(s *session, r *rand.Rand, code int) {
	switch r.IntN(14) {
	case 0:
		s.write([]int{text, binary, ping, pong, 7}[r.IntN(5)], "w")
	case 1:
		w, err := s.conn.NextWriter(text)
		s.note("NextWriter %v", err)
		if err == nil {
			n, err := io.WriteString(w, strings.Repeat("w", r.IntN(20_000)))
			s.note("%d %v, Close %v", n, err, w.Close())
		}
	case 2:
		s.note("control %v", s.conn.WriteControl(ping, nil, soon()))
	case 3:
		s.conn.SetReadLimit([]int64{300, 4000, 8000}[r.IntN(3)])
	case 4:
		_, reader, err := s.conn.NextReader()
		s.note("NextReader %v", err)
		if err == nil {
			part := make([]byte, 1+r.IntN(200))
			n, err := io.ReadFull(reader, part)
			s.note("%d %v", n, err)
		}
	case 5:
		if r.IntN(4) == 0 {
			payload := s.lib.format(code, "")
			switch code {
			case 0:
				payload = nil
			case 1005, 2999: // must not be sent
				payload = s.lib.format(1000, "")
			}
			s.note("close %v", s.conn.WriteMessage(closing, payload))
		}
	case 6:
		s.conn.SetPingHandler(func(p string) error {
			s.note("ping %q", p)
			return s.conn.WriteControl(pong, []byte(p), soon())
		})
	case 7:
		var v any
		s.note("ReadJSON %v", s.conn.ReadJSON(&v))
	case 8:
		w, err := s.conn.NextWriter(binary) // it stays open
		s.note("NextWriter %v", err)
		if err == nil {
			n, err := io.WriteString(w, strings.Repeat("o", r.IntN(1000)))
			s.note("%d %v", n, err)
		}
	case 9:
		s.note("prepared %v", s.lib.prepared(s.conn, text, []byte("prepared")))
	case 10:
		s.note("control %v", s.conn.WriteControl([]int{closing, ping}[r.IntN(2)], nil, time.Unix(1, 0)))
	case 11:
		s.conn.SetPongHandler(func(p string) error {
			s.note("pong %q, write %v", p, s.conn.WriteMessage(text, []byte("of the handler")))
			return nil
		})
		s.conn.SetCloseHandler(func(code int, reason string) error {
			s.note("closed %d %q", code, reason)
			s.conn.WriteControl(closing, s.lib.format(code, ""), soon())
			return nil
		})
	default:
		s.read()
	}
}

func TestRandomScenariosEndAsWithGorilla(t *testing.T) {
	for seed := range *seeds {
		for role, server := range map[string]bool{"client": false, "server": true} {
			t.Run(fmt.Sprint(role, " ", seed), func(t *testing.T) {
				s := scenario{play: randomScenario(seed)}
				want, got := play(t, &theirs, server, s), play(t, &ours, server, s)
				if !slices.Equal(got, want) {
					t.Errorf("compat/gorilla:\n  %s\nwant, as of gorilla:\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
				}
			})
		}
	}
}
