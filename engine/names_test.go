package engine

import (
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
)

func TestNamesAreThoseOfTheRFC(t *testing.T) {
	for want, got := range map[string]string{
		"none": OpNone.String(), "continuation": OpContinuation.String(), "text": OpText.String(),
		"binary": OpBinary.String(), "close": OpClose.String(), "ping": OpPing.String(), "pong": OpPong.String(),
		"opcode 3": Opcode(3).String(),
		"client":   Client.String(), "server": Server.String(),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for kind, want := range map[EventKind]string{EventNone: "none", EventData: "data", EventPing: "ping", EventPong: "pong", EventClose: "close", 9: "invalid"} {
		if kind.String() != want {
			t.Errorf("%q, want %q", kind, want)
		}
	}
}

func TestRegisteredCloseCodesHaveNames(t *testing.T) {
	for code := CloseNormal; code <= CloseTLSHandshake; code++ {
		named := strings.HasSuffix(code.String(), ")")
		if want := code != 1004; named != want {
			t.Errorf("%v: named %v", code, named)
		}
	}
	if CloseCode(4000).String() != "4000" {
		t.Errorf("%v", CloseCode(4000))
	}
}

func TestErrorsSayWhatHappened(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{errMasked, "websock: protocol error: masked frame from a server (RFC 6455 section 5.1)"},
		{&LimitError{Limit: "MessageSize", Max: 5, Code: CloseMessageTooBig}, "websock: limit MessageSize of 5 exceeded"},
		{&LimitError{Limit: "SendQueue", Max: 5, Err: io.ErrShortBuffer}, "short buffer: limit SendQueue of 5 exceeded"},
		{&CloseError{Code: CloseGoingAway, Reason: "restart"}, "websock: closed by the peer: 1001 (going away): restart"},
		{&CloseError{Code: CloseNormal, Local: true, Err: ErrClosed}, "websock: closed by us: 1000 (normal closure)"},
		{&CloseError{Code: CloseNormal, Local: true, Err: fmt.Errorf("%w: lost", ErrClosed)}, "websock: closed by us: 1000 (normal closure): websock: connection closed: lost"},
		{&CloseError{Code: CloseAbnormal, Err: io.ErrUnexpectedEOF}, "websock: connection lost: 1006 (abnormal closure): unexpected EOF"},
		{&CloseError{Code: CloseAbnormal, Local: true, Err: ErrClosed}, "websock: aborted by us: 1006 (abnormal closure)"},
		{errCloseCode.withPeerClose(1005, []byte("bye\x00")), `websock: protocol error: close code that must not be sent (RFC 6455 section 7.4): 1005 (no status received): "bye\x00"`},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestLimitsHaveDefaultsAndCanBeLifted(t *testing.T) {
	defaults := Limits{DefaultMessageSize, Unlimited, Unlimited, DefaultInflationRatio, 0}
	if got := (Limits{}).WithDefaults(); got != defaults {
		t.Errorf("%+v, want %+v", got, defaults)
	}
	lifted := Limits{Unlimited, Unlimited, Unlimited, math.MaxInt, math.MaxInt}
	if got := (Limits{-1, -1, -1, -1, -1}).WithDefaults(); got != lifted || got.WithDefaults() != lifted {
		t.Errorf("%+v, want %+v", got, lifted)
	}
}
