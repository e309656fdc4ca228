package scenario

import (
	"bytes"
	"errors"
	"testing"
	"time"
)

// FuzzParse parses what may be a scenario. What it accepts can be played with whatever a server sends.
func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"url: ws://a\nconnections: 5\nduration: 1s\n",
		"stages: [{to: 5, for: 1s, name: up}, {for: 1s}]\n",
		"data: users.csv\npath: /{{.Data.name}}\nheaders: {A: '{{.Data.token}}'}\nsubprotocols: [mqtt]\n",
		"open: [{send: &a {text: '{\"id\":{{.Sequence}}}'}, answer: {json: id}, timeout: 1s}, {send: *a}]\n",
		"messages:\n  - send: {hex: 00 ff}\n    every: 1ms\n    answer: {hex: 00}\n  - {send: 'a{{random 3}}', rate: 5.5}\n",
		"messages: [{send: {base64: aGk=}, think: 1s, answer: {regex: 'a(b*)'}}]\n",
		"pushed: {json: t, unit: ms}\ncount: {a: any}\nerrors: {b: {json: c, equals: d}}\nclose: {codes: [1000]}\n",
		"pushed: {regex: 't(\\d+)', unit: rfc3339}\n",
	} {
		f.Add([]byte(text), []byte(`{"id":1,"t":1700000000000}`))
	}
	f.Fuzz(func(t *testing.T, text, msg []byte) {
		// The parser takes time that is quadratic in how deep brackets are nested, and these two can take
		// any time and memory: a scenario is the user's own.
		if len(text) > 1<<10 || bytes.Contains(text, []byte("range")) || bytes.Contains(text, []byte("printf")) {
			return
		}
		s, err := parseText(string(text))
		var positioned *Error
		if err != nil {
			if !errors.As(err, &positioned) || positioned.Line < 0 {
				t.Errorf("%v", err)
			}
			return
		}
		now := time.UnixMilli(1_700_000_000_000)
		s.Request(3, now)
		s.At(time.Second)
		session := s.NewSession(3, 5, time.Second, now)
		session.Start(now)
		for range 20 {
			for range 5 {
				out, err := session.Next(now)
				if err != nil {
					return
				}
				if out == nil {
					break
				}
				session.Sent(now)
			}
			session.Receive(now, msg)
			session.Expire(now)
			session.Due(now)
			if at, ok := session.Wake(); ok && at.After(now) {
				now = at
			}
			if n := session.InFlight(); n < 0 || n > maxPending+1 {
				t.Errorf("%d in flight", n)
			}
		}
		session.Stop(now)
		if out, err := session.Next(now); out != nil || err != nil {
			t.Errorf("after the end: %+v %v", out, err)
		}
	})
}
