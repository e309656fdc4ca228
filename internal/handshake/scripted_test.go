package handshake

import (
	"bytes"
	"io"
	"net"
	"strings"
	"time"
)

// scripted is a connection to a peer that says the same whatever it is told, in
// two pieces. In answer, ACCEPT stands for what fits the key it is told.
type scripted struct {
	net.Conn
	answer string
	cut    int // where the first piece ends
	said   int
	told   bytes.Buffer
}

func (s *scripted) Write(p []byte) (int, error) {
	s.told.Write(p)
	if _, after, ok := strings.Cut(string(p), "Sec-WebSocket-Key: "); ok {
		key, _, _ := strings.Cut(after, "\r\n")
		s.answer = strings.ReplaceAll(s.answer, "ACCEPT", acceptFor(key))
	}
	return len(p), nil
}

func (s *scripted) Read(p []byte) (int, error) {
	rest := s.unread()
	if s.said < s.cut && s.cut < len(s.answer) {
		rest = s.answer[s.said:s.cut]
	}
	if rest == "" {
		return 0, io.EOF
	}
	n := copy(p, rest)
	s.said += n
	return n, nil
}

// unread returns what was not read yet.
func (s *scripted) unread() string { return s.answer[s.said:] }

func (s *scripted) SetDeadline(time.Time) error { return nil }
