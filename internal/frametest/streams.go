package frametest

import (
	"errors"
	"strings"

	"github.com/seed004e8d11/websock/engine"
)

// A Stream is what a peer sends, what a receiver makes of it, and the rule that it breaks.
type Stream struct {
	Name   string
	Frames string // for Frames
	Want   string // the frames that are received
	Rule   string // of the *engine.ProtocolError, "" if nothing is wrong
}

// Streams are right and wrong ones.
var Streams = []Stream{
	{"text", "text Hello", "text Hello", ""},
	{"empty", "text ; bin ", "text ; binary ", ""},
	{"fragments", "text+ Hel; cont+ ; cont lo", "text+ Hel; continuation+ ; continuation lo", ""},
	{"control between fragments", "bin+ a; ping p; pong q; cont b", "binary+ a; ping p; pong q; continuation b", ""},
	{"126 bytes", "bin " + strings.Repeat("x", 126), "binary " + strings.Repeat("x", 126), ""},
	{"65536 bytes", "bin " + strings.Repeat("y", 65536), "binary " + strings.Repeat("y", 65536), ""},
	{"ping of 125 bytes", "ping " + strings.Repeat("z", 125), "ping " + strings.Repeat("z", 125), ""},
	{"close", "close " + ClosePayload(1000, "bye"), "close " + ClosePayload(1000, "bye"), ""},
	{"close without code", "close ", "close ", ""},
	{"nothing counts after close", "close ; text lost", "close ", ""},
	{"code point across fragments", "text+ \xe2\x82; ping ; cont \xac", "text+ \xe2\x82; ping ; continuation \xac", ""},

	{"continuation of nothing", "text a; cont b", "text a", "continuation frame without a message begun"},
	{"message inside a message", "text+ a; bin b", "text+ a", "new message before the last one ended"},
	{"close of one byte", "close x", "", "close frame of one byte"},
	{"close code 1005", "close " + ClosePayload(1000, "")[:1] + "\xed", "", "close code that must not be sent"},
	{"close code 999", "close \x03\xe7", "", "close code that must not be sent"},
	{"close reason not UTF-8", "close \x03\xe8\xff", "", "close reason that is not UTF-8"},
	{"text not UTF-8", "text ab\xff", "", "text that is not UTF-8"},
	{"text ends inside a code point", "text \xe2\x82", "", "text that is not UTF-8"},
	{"text ends inside a code point, after fragments", "text+ \xe2; cont \x82", "text+ \xe2", "text that is not UTF-8"},
	{"surrogate", "text \xed\xa0\x80", "", "text that is not UTF-8"},
	{"binary need not be UTF-8", "bin \xff\xfe", "binary \xff\xfe", ""},
}

// Broke reports whether err says that the peer broke the rule, or is nil if that is "".
func Broke(err error, rule string) bool {
	var broken *engine.ProtocolError
	if errors.As(err, &broken) {
		return broken.Rule == rule
	}
	return err == nil && rule == ""
}
