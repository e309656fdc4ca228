package engine_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	. "github.com/seed004e8d11/websock/engine"
	"github.com/seed004e8d11/websock/internal/frametest"
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// An encoded is a frame given to an Encoder, and the error that it returns.
type encoded struct {
	op      Opcode
	fin     bool
	payload string
	want    error
}

func TestEncoderRefusesFramesOutOfOrder(t *testing.T) {
	long := strings.Repeat("x", 126)
	tests := map[string][]encoded{
		"messages": {{OpText, true, "a", nil}, {OpBinary, true, "\xff", nil}, {OpText, true, "", nil}},
		"a continuation of nothing": {
			{OpContinuation, true, "", ErrFrameOrder},
			{OpContinuation, false, "", ErrFrameOrder},
		},
		"a message inside a message": {
			{OpText, false, "a", nil}, {OpBinary, true, "b", ErrFrameOrder}, {OpText, false, "b", ErrFrameOrder},
			{OpContinuation, true, "c", nil}, {OpBinary, true, "d", nil},
		},
		"control frames between fragments": {
			{OpBinary, false, "a", nil}, {OpPing, true, "p", nil}, {OpPong, true, "", nil},
			{OpContinuation, false, "", nil}, {OpContinuation, true, "b", nil}, {OpContinuation, true, "", ErrFrameOrder},
		},
		"control frames": {
			{OpPing, true, long, ErrControlTooLong}, {OpPong, true, long[:125], nil}, {OpPing, false, "", ErrFrameOrder},
			{OpClose, true, long, ErrControlTooLong}, {OpClose, true, "", nil}, {OpClose, false, "", ErrFrameOrder},
		},
		"opcodes that mean nothing": {{3, true, "", ErrFrameOrder}, {11, true, "", ErrFrameOrder}, {OpNone, true, "", ErrFrameOrder}},
		"text that is not UTF-8": {
			{OpText, true, "\xff", ErrInvalidUTF8}, {OpText, false, "\xff", ErrInvalidUTF8},
			{OpText, false, "\xe2\x82", nil}, {OpContinuation, false, "x", ErrInvalidUTF8},
			{OpContinuation, true, "", ErrInvalidUTF8}, {OpContinuation, true, "\xac", nil},
			{OpText, true, "a", nil},
		},
		"binary need not be UTF-8": {{OpBinary, false, "\xff", nil}, {OpContinuation, true, "\xfe", nil}},
	}
	for name, frames := range tests {
		for _, role := range []Role{Client, Server} {
			e := NewEncoder(role, nil)
			var sent []byte
			for i, f := range frames {
				before := len(sent)
				var err error
				sent, err = e.Append(sent, testKey, f.op, f.fin, []byte(f.payload))
				if err != f.want {
					t.Errorf("%s, frame %d: %v, want %v", name, i, err, f.want)
				}
				if err != nil && len(sent) != before {
					t.Errorf("%s, frame %d: %d bytes appended with an error", name, i, len(sent)-before)
				}
			}
			if e.InMessage() {
				t.Errorf("%s: a message is under way", name)
			}
		}
	}
}

func TestADecoderOfTheOtherRoleReadsWhatAnEncoderAppends(t *testing.T) {
	for _, role := range []Role{Client, Server} {
		peer := Server
		if role == Server {
			peer = Client
		}
		for _, size := range []int{0, 1, 125, 126, 65535, 65536, 100_000} {
			for _, op := range []Opcode{OpText, OpBinary} {
				payload := bytes.Repeat([]byte("x"), size)
				e := NewEncoder(role, nil)
				frame, err := e.Append([]byte("before"), testKey, op, true, payload)
				if err != nil || string(frame[:6]) != "before" || len(frame) != 6+e.FrameSize(size) {
					t.Fatalf("%v %v %d: %d bytes, %v", role, op, size, len(frame), err)
				}
				if !bytes.Equal(payload, bytes.Repeat([]byte("x"), size)) {
					t.Errorf("%v %v %d: the payload was changed", role, op, size)
				}
				inPlace := append(make([]byte, MaxHeaderSize), payload...)
				start := e.PutHeader(inPlace, testKey, op, true)
				if !bytes.Equal(inPlace[start:], frame[6:]) {
					t.Errorf("%v %v %d: PutHeader makes another frame than Append", role, op, size)
				}
				events, err := decode(NewDecoder(peer, Limits{}), frame[6:], len(frame))
				if want := op.String() + " " + string(payload); len(events) != 1 || events[0] != want || err != nil {
					t.Errorf("%v %v %d: %.80q, %v", role, op, size, events, err)
				}
			}
		}
	}
}

func TestCloseFramesAreChecked(t *testing.T) {
	for _, test := range []struct {
		code   CloseCode
		reason string
		want   error
	}{
		{CloseNormal, "", nil},
		{CloseNormal, strings.Repeat("x", 123), nil},
		{CloseNormal, strings.Repeat("x", 124), ErrControlTooLong},
		{CloseNormal, "\xff", ErrInvalidUTF8},
		{CloseBadGateway, "", nil},
		{4999, "", nil},
		{5000, "", ErrCloseCode},
		{CloseAbnormal, "", ErrCloseCode},
		{CloseNoStatus, "", nil},
		{CloseNoStatus, "x", ErrCloseCode},
	} {
		if err := CheckClose(test.code, test.reason); err != test.want {
			t.Errorf("%v %.10q: %v, want %v", test.code, test.reason, err, test.want)
		}
	}
	cut := AppendClose(nil, CloseNormal, strings.Repeat("x", 122)+"é")
	if want := "\x03\xe8" + strings.Repeat("x", 122); string(cut) != want {
		t.Errorf("a long reason becomes %q", cut)
	}
	if p := AppendClose(nil, CloseNoStatus, ""); len(p) > 0 {
		t.Errorf("no status is %q", p)
	}
	e := NewEncoder(Server, nil)
	frame, err := e.Append(nil, testKey, OpClose, true, AppendClose(nil, CloseGoingAway, "bye"))
	if want := string(frametest.Frame(Client, OpClose, true, frametest.ClosePayload(CloseGoingAway, "bye"))); string(frame) != want || err != nil {
		t.Errorf("%q, %v, want %q", frame, err, want)
	}
}

func TestErrorsUnwrapToTheirCauses(t *testing.T) {
	cause := errors.New("the cause")
	for _, err := range []error{&LimitError{Err: cause}, &CloseError{Err: cause}} {
		if !errors.Is(err, cause) {
			t.Errorf("%T hides its cause", err)
		}
	}
}
