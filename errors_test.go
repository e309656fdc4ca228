package websock

import (
	"errors"
	"io"
	"strings"
	"testing"
)

func TestErrorsSayWhatHappened(t *testing.T) {
	tests := []struct {
		err  error
		want string
	}{
		{ErrTimeout, "websock: timeout"},
		{ErrClosed, "websock: connection closed"},
		{&LimitError{Limit: "MessageSize", Max: 5, Code: CloseMessageTooBig}, "websock: limit MessageSize of 5 exceeded"},
		{&LimitError{Limit: "SendQueue", Max: 5, Err: ErrSendQueueFull}, "websock: send queue full, what was sent is not read fast enough: limit SendQueue of 5 exceeded"},
		{&CloseError{Code: CloseGoingAway, Reason: "restart"}, "websock: closed by the peer: 1001 (going away): restart"},
		{&CloseError{Code: CloseNormal, Local: true, Err: ErrClosed}, "websock: closed by us: 1000 (normal closure)"},
		{&CloseError{Code: CloseAbnormal, Err: io.ErrUnexpectedEOF}, "websock: connection lost: 1006 (abnormal closure): unexpected EOF"},
		{&CloseError{Code: CloseAbnormal, Local: true, Err: ErrIdle}, "websock: aborted by us: 1006 (abnormal closure): websock: nothing was received for too long"},
	}
	for _, test := range tests {
		if got := test.err.Error(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
	var timeout interface { // what a net.Error was
		Timeout() bool
		Temporary() bool
	}
	if !errors.As(ErrTimeout, &timeout) || !timeout.Timeout() || !timeout.Temporary() {
		t.Error("ErrTimeout is none to those who ask a net.Error")
	}
}

func TestAHandlerErrorSaysHowTheHandlerEnded(t *testing.T) {
	for want, err := range map[string]error{"runtime.Goexit": &HandlerError{}, "panicked: 7": &HandlerError{Value: 7}} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
}
