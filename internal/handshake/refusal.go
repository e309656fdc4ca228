package handshake

import (
	"bytes"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
)

// refuseWith returns a refusal: the error that a server returns, whose Status, Header and Body are
// also the response that it sends. fields are names and values of the header.
func refuseWith(status int, reason string, fields ...string) *HandshakeError {
	h := http.Header{}
	for i := 0; i < len(fields); i += 2 {
		h.Set(fields[i], fields[i+1])
	}
	return &HandshakeError{Reason: reason, Status: status, Header: h}
}

// refusalOf returns the refusal for an error of CheckRequest. The client doesn't see the text of
// the error, unless that is a *HandshakeError with a status.
func refusalOf(err error) *HandshakeError {
	var response *HandshakeError
	if errors.As(err, &response) && response.Status >= 300 && response.Status <= 599 {
		own := *response
		return &own
	}
	failed := refuseWith(http.StatusForbidden, "the request is declined")
	failed.Err = err
	return failed
}

// complete sets the header and the body of a refusal that is about to be sent.
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

// decline sends a refusal to the request r of an http.Handler.
func decline(w http.ResponseWriter, r *http.Request, refusal *HandshakeError) *HandshakeError {
	complete(refusal)
	if r.ProtoMajor >= 2 {
		deleteConnectionSpecific(refusal.Header)
	}
	maps.Copy(w.Header(), refusal.Header)
	w.WriteHeader(refusal.Status)
	w.Write(refusal.Body)
	return refusal
}

// declineConn sends a refusal over conn, if it has a status. Errors of that are ignored: the
// handshake has failed in any case.
func declineConn(conn net.Conn, refusal *HandshakeError) *HandshakeError {
	if refusal.Status == 0 {
		return refusal
	}
	complete(refusal)
	response := http.Response{
		StatusCode:    refusal.Status,
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        refusal.Header,
		Body:          io.NopCloser(bytes.NewReader(refusal.Body)),
		ContentLength: int64(len(refusal.Body)),
		Close:         true,
	}
	var text bytes.Buffer
	response.Write(&text) // a Buffer can't fail
	conn.Write(text.Bytes())
	return refusal
}
