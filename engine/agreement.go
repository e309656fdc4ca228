package engine

import (
	"bufio"
	"net/http"
	"net/textproto"
	"strings"
	"unique"
)

// An agreement is what came out of the opening handshake. Connections that agreed on the
// same share it in memory.
type agreement struct {
	subprotocol string
	header      string // lines, each with its end
}

func agree(o *Options) unique.Handle[agreement] {
	return unique.Make(agreement{o.Subprotocol, withoutNonce(string(o.RawHeader))})
}

// withoutNonce drops the header that differs in every handshake and has served its
// purpose.
func withoutNonce(header string) string {
	for start := 0; start < len(header); {
		line := header[start:]
		if end := strings.IndexByte(line, '\n'); end >= 0 {
			line = line[:end+1]
		}
		if name, _, _ := strings.Cut(line, ":"); isNonce(name) {
			return header[:start] + header[start+len(line):]
		}
		start += len(line)
	}
	return header
}

func isNonce(name string) bool {
	return strings.EqualFold(name, "Sec-WebSocket-Accept") || strings.EqualFold(name, "Sec-WebSocket-Key")
}

// Subprotocol returns the subprotocol agreed in the opening handshake, or "" (RFC
// 6455 section 1.9).
func (c *Conn) Subprotocol() string { return c.agreed.Value().subprotocol }

// HandshakeHeader returns the header of the peer's opening handshake: the
// server's answer in the client role, the client's request in the server role.
// Sec-WebSocket-Accept and Sec-WebSocket-Key, which have been checked, are left out.
// Every call makes a new one, since a connection keeps only its text.
func (c *Conn) HandshakeHeader() http.Header {
	lines := strings.NewReader(c.agreed.Value().header + "\r\n")
	header, err := textproto.NewReader(bufio.NewReader(lines)).ReadMIMEHeader()
	if err != nil {
		return http.Header{}
	}
	return http.Header(header)
}
