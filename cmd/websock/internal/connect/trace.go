package connect

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
)

// verboseTrace returns a trace that writes the steps of connecting to out. Lines marked * are
// notes, > was sent, < was received.
func verboseTrace(out io.Writer) *websock.Trace {
	note := func(format string, args ...any) { fmt.Fprintf(out, "* "+format+"\n", args...) }
	begin := time.Now()
	var response responseHead
	return &websock.Trace{
		DialStart: func(network, addr string) { note("connecting to %s", addr) },
		DialDone: func(_, _ string, conn net.Conn, err error) {
			if err == nil {
				note("connected to %v from %v after %v", conn.RemoteAddr(), conn.LocalAddr(), since(begin))
			}
		},
		ProxyStart: func(proxy *url.URL, addr string) { note("asking the proxy %s for %s", proxy.Redacted(), addr) },
		TLSDone: func(_ string, state tls.ConnectionState, err error) {
			if err == nil {
				note("%s, %s, %s, after %v", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), cmp.Or(state.NegotiatedProtocol, "no ALPN"), since(begin))
				noteCertificate(note, state)
			}
		},
		Sent: func(p []byte) { writeHead(out, ">", p) },
		Received: func(p []byte) {
			if head := response.add(p); head != nil {
				writeHead(out, "<", head)
			}
		},
		HandshakeDone: func(_ string, err error) {
			if err == nil {
				note("open after %v", since(begin))
			}
		},
	}
}

func since(begin time.Time) time.Duration { return time.Since(begin).Round(10 * time.Microsecond) }

func noteCertificate(note func(string, ...any), state tls.ConnectionState) {
	if len(state.PeerCertificates) == 0 {
		return
	}
	c := state.PeerCertificates[0]
	note("certificate of %q, issued by %q, valid until %s", c.Subject, c.Issuer, c.NotAfter.Format(time.DateOnly))
	if len(state.VerifiedChains) == 0 {
		note("which nobody has checked")
	}
}

// A responseHead collects the head of an HTTP response, up to the empty line.
type responseHead struct {
	bytes    []byte
	complete bool
}

// add returns the head once p completes it, and nil otherwise.
func (h *responseHead) add(p []byte) []byte {
	if h.complete {
		return nil
	}
	h.bytes = append(h.bytes, p...)
	end := []byte("\r\n\r\n")
	i := bytes.Index(h.bytes, end)
	if i < 0 {
		return nil
	}
	h.complete = true
	return h.bytes[:i+len(end)]
}

// writeHead writes the head of a request or a response without the credentials in it.
func writeHead(out io.Writer, mark string, head []byte) {
	var b bytes.Buffer
	for line := range bytes.Lines(head) {
		if name, value, ok := bytes.Cut(trimLine(line), []byte(":")); ok && isCredential(string(name)) && len(bytes.TrimSpace(value)) > 0 {
			line = fmt.Appendf(nil, "%s: %s\r\n", name, hidden)
		}
		b.Write(line)
	}
	writeLines(out, mark, b.Bytes())
}

// hidden is shown instead of a credential, as instead of the password of a proxy.
const hidden = "xxxxx"

// isCredential reports whether a header field has a password or something like one.
func isCredential(name string) bool {
	switch http.CanonicalHeaderKey(name) {
	case "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie":
		return true
	}
	return false
}

// writeLines writes lines with a mark before each. It escapes them, since a server may have
// sent anything.
func writeLines(out io.Writer, mark string, text []byte) {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		fmt.Fprintf(&b, "%s %s\n", mark, console.Printable(trimLine(line)))
	}
	out.Write(b.Bytes())
}
