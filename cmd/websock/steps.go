package main

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/url"
	"time"

	"github.com/seed004e8d11/websock"
)

// showSteps returns a trace that writes the steps of connecting to out, for people: those
// marked * are about what goes on, > was sent and < received.
func showSteps(out io.Writer) *websock.Trace {
	note := func(format string, args ...any) { fmt.Fprintf(out, "* "+format+"\n", args...) }
	begin := time.Now()
	var answer head
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
				note("%s, %s, after %v", tls.VersionName(state.Version), tls.CipherSuiteName(state.CipherSuite), since(begin))
				showCertificate(note, state)
			}
		},
		Sent: func(p []byte) { showLines(out, ">", p) },
		Received: func(p []byte) {
			if whole := answer.add(p); whole != nil {
				showLines(out, "<", whole)
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

func showCertificate(note func(string, ...any), state tls.ConnectionState) {
	if len(state.PeerCertificates) == 0 {
		return
	}
	c := state.PeerCertificates[0]
	note("certificate of %q, issued by %q, valid until %s", c.Subject, c.Issuer, c.NotAfter.Format(time.DateOnly))
	if len(state.VerifiedChains) == 0 {
		note("which nobody has checked")
	}
}

// A head gathers the beginning of an HTTP answer, up to an empty line.
type head struct {
	bytes []byte
	done  bool
}

// add returns all of it with the bytes that complete it, and nil otherwise.
func (h *head) add(p []byte) []byte {
	if h.done {
		return nil
	}
	h.bytes = append(h.bytes, p...)
	end := []byte("\r\n\r\n")
	i := bytes.Index(h.bytes, end)
	if i < 0 {
		return nil
	}
	h.done = true
	return h.bytes[:i+len(end)]
}

// showLines writes lines with a mark before each. The server may have put anything in there.
func showLines(out io.Writer, mark string, text []byte) {
	var b bytes.Buffer
	for line := range bytes.Lines(text) {
		fmt.Fprintf(&b, "%s %s\n", mark, printable(trimLine(line)))
	}
	out.Write(b.Bytes())
}
