package websock

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock/transport/std"
)

func TestCheckRequestDecidesLast(t *testing.T) {
	url := server(t, echo(t, &AcceptOptions{CheckRequest: func(r *http.Request) error {
		if r.Header.Get("Authorization") == "" {
			return &HandshakeError{Status: http.StatusUnauthorized, Reason: "no key"}
		}
		return nil
	}}))
	_, err := Dial(t.Context(), url, nil)
	var failed *HandshakeError
	if !errors.As(err, &failed) || failed.Status != http.StatusUnauthorized || string(failed.Body) != "no key\n" {
		t.Errorf("%v", err)
	}
	c, err := Dial(t.Context(), url, &Config{Header: http.Header{"Authorization": {"x"}}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestAcceptWithAHandler(t *testing.T) {
	url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := Accept(w, r, &AcceptOptions{Handler: Messages(func(c *Conn, op Opcode, msg []byte) {
			c.SendFrame(op, true, msg)
		}, nil)})
		if err != nil {
			t.Error(err)
		}
	}))
	c, err := Dial(t.Context(), url, nil)
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestDialFailsIfTheTransportRejectsTheConnection(t *testing.T) {
	url := server(t, echo(t, nil))
	if _, err := Dial(t.Context(), url, &Config{Transport: rejectingTransport{}}); !errors.Is(err, os.ErrInvalid) || !errors.As(err, new(*HandshakeError)) {
		t.Errorf("%v", err)
	}
	_, err := Dial(t.Context(), url, &Config{Transport: pullOnly{}, Handler: Messages(nil, nil), Limits: Limits{CloseTimeout: time.Second}})
	if !errors.Is(err, ErrNoPush) || !errors.As(err, new(*HandshakeError)) {
		t.Errorf("%v", err)
	}
	c, err := Dial(t.Context(), url, &Config{Transport: pullOnly{}})
	if err != nil {
		t.Fatal(err)
	}
	roundTrip(t, c)
}

func TestLimitsApplyToBothRoles(t *testing.T) {
	url := server(t, echo(t, &AcceptOptions{Limits: Limits{MessageSize: 10}}))
	c, err := Dial(t.Context(), url, &Config{Limits: Limits{MessageSize: 5}})
	if err != nil {
		t.Fatal(err)
	}
	c.SendText([]byte("1234567"))
	if _, _, err := c.RecvMessage(nil); !errors.As(err, new(*LimitError)) {
		t.Errorf("client: %v", err)
	}
	c.Close()
	if c, err = Dial(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SendText([]byte("more than ten bytes"))
	var closed *CloseError
	if _, _, err := c.RecvMessage(nil); !errors.As(err, &closed) || closed.Code != CloseMessageTooBig {
		t.Errorf("server: %v", err)
	}
}

func TestRecoverIsCalledInBothRoles(t *testing.T) {
	recovered := make(chan any, 1)
	tell := func(_ *Conn, v any) { recovered <- v }
	panics := Messages(func(_ *Conn, _ Opcode, msg []byte) { panic(string(msg)) }, nil)
	for _, role := range []Role{Client, Server} {
		url := server(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			opts := &AcceptOptions{Recover: tell}
			if role == Server {
				opts.Handler = panics
			}
			c, err := Accept(w, r, opts)
			if err != nil {
				t.Error(err)
				return
			}
			if role == Client {
				c.SendText([]byte("client"))
				c.RecvMessage(nil)
				c.Close()
			}
		}))
		cfg := &Config{Recover: tell}
		if role == Client {
			cfg.Handler = panics
		}
		c, err := Dial(t.Context(), url, cfg)
		if err != nil {
			t.Fatal(err)
		}
		if role == Server {
			c.SendText([]byte("server"))
			c.RecvMessage(nil)
		}
		if got := <-recovered; got != role.String() {
			t.Errorf("%v: Recover got %v", role, got)
		}
		c.Close()
	}
}

func TestBothSidesNegotiateCompression(t *testing.T) {
	message := bytes.Repeat([]byte("compress me "), 1000)
	for _, test := range []struct{ client, server, want Compression }{
		{DefaultCompression, DefaultCompression, DefaultCompression},
		{DefaultCompression, Compression{}, Compression{}},
		{Compression{}, DefaultCompression, Compression{}},
	} {
		conns := make(chan *Conn, 1)
		url := server(t, acceptInto(&AcceptOptions{Compression: test.server}, conns, echoAll))
		c, err := Dial(t.Context(), url, &Config{Compression: test.client})
		if err != nil {
			t.Fatal(err)
		}
		accepted := <-conns
		if got, theirs := c.Compression(), accepted.Compression(); got != test.want || theirs != test.want {
			t.Errorf("%+v and %+v, want %+v", got, theirs, test.want)
		}
		if err := c.SendText(message); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.RecvMessage(nil); err != nil || !bytes.Equal(got, message) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		c.RecvTimeout(nil, 0)
		stats, compressed := c.Stats(), !test.want.IsOff()
		if compressed != (stats.WireSent < 1000) || compressed != (stats.BeforeInflate > 0) {
			t.Errorf("%+v", stats)
		}
		c.Close()
	}
}

// A Handler that pauses while a message is being inflated gets the rest though nothing more
// comes.
func TestAPauseInACompressedMessageLosesNothing(t *testing.T) {
	var message []byte
	for i := range 20000 {
		message = fmt.Appendf(message, "%d,", i)
	}
	conns := make(chan *Conn, 1)
	url := server(t, acceptInto(&AcceptOptions{Compression: DefaultCompression}, conns, func(c *Conn) {
		c.SendText(message)
		c.RecvMessage(nil)
		c.Close()
	}))
	got := make(chan []byte, 1)
	h := &pausing{whole: got}
	c, err := Dial(t.Context(), url, &Config{Compression: DefaultCompression, Transport: std.Transport(), Handler: h})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	select {
	case msg := <-got:
		if !bytes.Equal(msg, message) || h.calls < 2 {
			t.Errorf("%d bytes of %d, in %d calls", len(msg), len(message), h.calls)
		}
	case <-time.After(30 * time.Second):
		t.Error("the rest never came")
	}
	<-conns
}
