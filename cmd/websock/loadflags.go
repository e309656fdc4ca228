package main

import (
	"errors"
	"flag"
	"fmt"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock/cmd/websock/internal/loadgen"
)

// loadFlags say which messages connections send and expect.
type loadFlags struct {
	mode    loadgen.Mode
	window  int
	msgRate messageRate
}

func (l *loadFlags) register(fs *flag.FlagSet) {
	fs.Var(&l.mode, "mode", "what the server does: `echo`, receive (it sends, and receives nothing), or send (it receives, and answers nothing)")
	fs.IntVar(&l.window, "window", 1, "messages in flight on each connection (0: only hold the connections open)")
	fs.Var(&l.msgRate, "msg-rate", "`rate` of messages in a second: of all connections together, or with /conn of each (50/conn). They are sent whether or not answers came (0: see -window)")
}

const maxWindow = 1 << 16

// check refuses invalid flags. given reports whether a flag was given.
func (l *loadFlags) check(given func(name string) bool) error {
	switch {
	case l.window < 0 || l.window > maxWindow:
		return fmt.Errorf("-window is 0 to %d", maxWindow)
	case l.mode == loadgen.Receive && l.msgRate.rate > 0:
		return errors.New("-msg-rate is of messages sent, and with -mode receive none are")
	case l.mode == loadgen.Send && l.msgRate.rate == 0:
		return errors.New("-mode send needs -msg-rate, since no answers come that it could wait for")
	case l.mode != loadgen.Echo && given("window"):
		return errors.New("-window is of messages that are answered, as they are with -mode echo")
	case l.window == 0 && l.msgRate.rate > 0:
		return errors.New("-window 0 sends nothing, and -msg-rate does")
	}
	return nil
}

// A messageRate is how many messages are sent in a second. It is a flag.Value.
type messageRate struct {
	rate float64
	each bool // by each connection, not by all together
}

const (
	perConn    = "/conn"
	minMsgRate = 1e-9
	maxMsgRate = 1e9 // a message every nanosecond
)

func (r *messageRate) Set(value string) error {
	number, each := strings.CutSuffix(value, perConn)
	rate, err := strconv.ParseFloat(number, 64)
	switch {
	case err != nil:
		return errors.New("it is the number of messages in a second, which " + perConn + " may follow")
	case rate != 0 && !(rate >= minMsgRate && rate <= maxMsgRate): // also refuses NaN
		return fmt.Errorf("it is 0, or %v to %.0f", minMsgRate, maxMsgRate)
	}
	*r = messageRate{rate, each}
	return nil
}

func (r *messageRate) String() string {
	number := strconv.FormatFloat(r.rate, 'g', -1, 64)
	if r.each {
		return number + perConn
	}
	return number
}

// ofEach returns the rate of each of n connections.
func (r *messageRate) ofEach(n int) float64 {
	if r.each {
		return r.rate
	}
	return r.rate / float64(n)
}

// ofAll returns the rate of n connections together.
func (r *messageRate) ofAll(n int) float64 {
	if r.each {
		return r.rate * float64(n)
	}
	return r.rate
}
