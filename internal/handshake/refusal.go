package handshake

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
)

// A server's refusal is the *HandshakeError to return, and at once the
// answer to give: its Status, Header and Body.

// refuseWith makes one; fields are names and values of its header.
func refuseWith(status int, reason string, fields ...string) *HandshakeError {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	return &HandshakeError{Reason: reason, Status: status, Header: h}
}

// refusalOf makes one of an application's error. What the error says is for the
// server's eyes, unless it says by its type that it is an answer.
func refusalOf(err error) *HandshakeError {
	var answer *HandshakeError
	if errors.As(err, &answer) && answer.Status >= 300 && answer.Status <= 599 {
		own := *answer
		return &own
	}
	failed := refuseWith(http.StatusForbidden, "the request is declined")
	failed.Err = err
	return failed
}

// complete gives a refusal the header and the body to send.
func complete(refusal *HandshakeError) {
	h := refusal.Header.Clone()
	if h == nil {
		h = http.Header{}
	}
	if refusal.Body == nil {
		refusal.Body = []byte(refusal.Reason + "\n")
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("X-Content-Type-Options", "nosniff")
	}
	refusal.Header = h
}

// decline answers a request that a net/http handler got.
func decline(w http.ResponseWriter, refusal *HandshakeError) *HandshakeError {
	complete(refusal)
	maps.Copy(w.Header(), refusal.Header)
	w.WriteHeader(refusal.Status)
	w.Write(refusal.Body)
	return refusal
}

// declineConn answers a request that came over conn, if there is anything to
// answer. Whether the client reads that makes no difference.
func declineConn(conn net.Conn, refusal *HandshakeError) *HandshakeError {
	if refusal.Status == 0 {
		return refusal
	}
	complete(refusal)
	answer := http.Response{
		StatusCode:    refusal.Status,
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        refusal.Header,
		Body:          io.NopCloser(bytes.NewReader(refusal.Body)),
		ContentLength: int64(len(refusal.Body)),
		Close:         true,
	}
	var text bytes.Buffer
	answer.Write(&text) // a Buffer can't fail
	conn.Write(text.Bytes())
	return refusal
}
