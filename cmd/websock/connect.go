package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"
	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// connect is the command of that name.
type connect struct {
	stdio
	dialFlags
	binary bool
	wait   time.Duration

	conn   *engine.Conn
	ended  atomic.Bool // standard input has ended
	failed atomic.Bool // a line could not be sent
}

func connectCommand(streams stdio) *ffcli.Command {
	c := &connect{stdio: streams}
	fs := streams.flagSet("connect")
	c.register(fs)
	return &ffcli.Command{
		Name:       "connect",
		ShortUsage: "websock connect [flags] URL",
		ShortHelp:  "send lines as messages, print messages as lines",
		LongHelp: "When standard input ends, replies are printed until nothing has come for the time\n" +
			"of -wait; then the connection is closed.",
		FlagSet: fs,
		Exec:    c.exec,
	}
}

func (c *connect) register(fs *flag.FlagSet) {
	c.dialFlags.register(fs)
	fs.DurationVar(&c.timeout, "timeout", 10*time.Second, "limit of connecting and the opening handshake")
	fs.BoolVar(&c.binary, "binary", false, "send binary messages, not text")
	fs.DurationVar(&c.wait, "wait", time.Second, "how long it must be quiet, after standard input has ended, before the connection is closed")
}

func (c *connect) exec(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return c.misused("connect takes one URL, after the flags")
	}
	if err := checkURL(args[0]); err != nil {
		return c.misused("%s: %v", args[0], err)
	}
	config, err := c.config()
	if err != nil {
		return err
	}
	c.conn, err = websock.Dial(ctx, args[0], &config)
	if err != nil {
		c.explain(err)
		return errReported
	}
	defer c.conn.Close()
	c.greet()
	defer context.AfterFunc(ctx, func() { c.conn.Close() })()
	go c.sendLines()
	return c.receive()
}

// explain tells why there is no connection.
func (c *connect) explain(err error) {
	fmt.Fprintln(c.err, err)
	var refusal *engine.HandshakeError
	if !errors.As(err, &refusal) || refusal.Status == 0 {
		return
	}
	fmt.Fprintln(c.err, "HTTP", refusal.Status, http.StatusText(refusal.Status))
	for _, name := range []string{"Location", "Www-Authenticate", "Retry-After", "Sec-Websocket-Version", "Server", "Content-Type"} {
		for _, value := range refusal.Header[name] {
			fmt.Fprintf(c.err, "%s: %s\n", name, value)
		}
	}
	if len(refusal.Body) > 0 {
		fmt.Fprintf(c.err, "\n%s\n", bytes.TrimSpace(refusal.Body))
	}
}

// greet tells somebody who looks that there is a connection.
func (c *connect) greet() {
	if !isTerminal(c.err) {
		return
	}
	fmt.Fprint(c.err, "connected to ", c.conn.RemoteAddr())
	if name := c.conn.Subprotocol(); name != "" {
		fmt.Fprint(c.err, ", subprotocol ", name)
	}
	fmt.Fprintln(c.err)
}

// sendLines sends every line of standard input as a message.
func (c *connect) sendLines() {
	lines := bufio.NewReader(c.in)
	for {
		line, end := lines.ReadBytes('\n')
		if end == nil || len(line) > 0 {
			c.sendLine(trimLine(line))
		}
		if end != nil {
			break
		}
	}
	c.ended.Store(true)
	c.awaitQuiet()
}

// trimLine removes the end of a line.
func trimLine(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

func (c *connect) sendLine(line []byte) {
	send := c.conn.SendText
	if c.binary {
		send = c.conn.SendBinary
	}
	err := send(line)
	if errors.Is(err, engine.ErrInvalidUTF8) {
		fmt.Fprintln(c.err, "not sent: the line is not UTF-8, which text must be (see -binary)")
		c.failed.Store(true)
	}
}

// awaitQuiet makes receiving time out when nothing comes.
func (c *connect) awaitQuiet() {
	c.conn.SetRecvDeadline(time.Now().Add(c.wait))
}

// receive prints messages until the connection ends or it has become quiet.
func (c *connect) receive() error {
	var msg []byte
	for {
		had := len(msg)
		_, received, err := c.conn.RecvMessage(msg)
		msg = received
		switch {
		case errors.Is(err, engine.ErrTimeout) && len(msg) == had:
			return c.report(c.conn.Close())
		case errors.Is(err, engine.ErrTimeout): // in the middle of a message
		case err != nil:
			return c.report(err)
		default:
			if _, err := c.out.Write(append(msg, '\n')); err != nil {
				return err
			}
			msg = msg[:0]
		}
		if c.ended.Load() {
			c.awaitQuiet()
		}
	}
}

// report tells how the connection ended, and whether that is well.
func (c *connect) report(err error) error {
	if err == nil {
		fmt.Fprintln(c.err, "closed by us:", engine.CloseNormal)
	} else {
		fmt.Fprintln(c.err, strings.TrimPrefix(err.Error(), "websock: "))
	}
	if c.failed.Load() || err != nil && !endedWell(err) {
		return errReported
	}
	return nil
}

// endedWell reports whether a connection ended as it should.
func endedWell(err error) bool {
	var closed *engine.CloseError
	if !errors.As(err, &closed) {
		return false
	}
	switch closed.Code {
	case engine.CloseNormal, engine.CloseGoingAway, engine.CloseNoStatus:
		return true
	}
	return false
}
