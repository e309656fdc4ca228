package fanout

import (
	"context"
	"errors"
	"net/http"
	"os"

	"github.com/seed004e8d11/websock"
)

// blamesTarget reports whether the attempt has failed because of what it was to connect to, and not
// because of the slot, its credentials for instance, or of this process.
func (a *attempt) blamesTarget() bool {
	switch {
	case a.err == nil || !a.dialing || a.slot.group.closing():
		return false
	case a.conn != nil: // OnConnect has failed
		return timedOut(a.err) || lostByTarget(a.conn.Err())
	}
	return blamesTarget(a.err)
}

// blamesTarget reports whether a dial has failed with an error that others would get, too.
func blamesTarget(err error) bool {
	var failed *websock.HandshakeError
	if errors.As(err, &failed) && failed.Status != 0 {
		return blamedStatus(failed.Status)
	}
	switch FailureOf(err) {
	case FailedTimeout, FailedResolve, FailedProxy, FailedRefused, FailedConnect, FailedProtocol:
		return true
	case FailedTLS:
		return !certificateRefused(err)
	}
	return false
}

// blamedStatus reports whether an HTTP status speaks of the server, or of what is in its place, and
// not of the request or its credentials.
func blamedStatus(status int) bool {
	switch status {
	case http.StatusNotFound, http.StatusRequestTimeout, http.StatusGone, http.StatusMisdirectedRequest, http.StatusTooManyRequests:
		return true
	}
	return status < 400 || status >= 500
}

func timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded)
}

// lostByTarget reports whether a connection has ended, with err, in a way that a server chooses that
// goes away, or that can't serve anybody.
func lostByTarget(err error) bool {
	var closed *websock.CloseError
	if !errors.As(err, &closed) || closed.Local {
		return false
	}
	switch closed.Code {
	case websock.CloseAbnormal, websock.CloseGoingAway, websock.CloseInternalError, websock.CloseServiceRestart, websock.CloseTryAgainLater:
		return true
	}
	return false
}
