package connect

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

func TestWhichFailuresArePermanent(t *testing.T) {
	for status, want := range map[int]bool{
		301: true, 400: true, 401: true, 403: true, 404: true, 405: true, 407: true, 426: true,
		408: false, 421: false, 425: false, 429: false, 500: false, 502: false, 503: false, 0: false, 200: false,
	} {
		err := fmt.Errorf("wrapped: %w", &websock.HandshakeError{Status: status})
		if got := isPermanent(err); got != want {
			t.Errorf("%d: %v", status, got)
		}
	}
	for err, want := range map[error]bool{
		&websock.HandshakeError{Err: &tls.CertificateVerificationError{Err: errors.New("x")}}: true,
		&websock.HandshakeError{Err: context.DeadlineExceeded}:                                false,
		&websock.CloseError{Code: websock.CloseNormal}:                                        false,
		&websock.CloseError{Code: websock.ClosePolicyViolation}:                               false,
	} {
		if got := isPermanent(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

func TestDelaysGrowWithFailuresInARow(t *testing.T) {
	longest := func(failures int) (most time.Duration) {
		for range 50 {
			var row failureRow
			var d time.Duration
			for range failures {
				d = row.delay(nil, ending{Unreachable, &websock.HandshakeError{}})
			}
			most = max(most, d)
		}
		return most
	}
	if one, many := longest(1), longest(8); one > 500*time.Millisecond || many < 10*time.Second || many > time.Minute {
		t.Errorf("%v, and %v later", one, many)
	}
}
