package compat

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	gorilla "github.com/gorilla/websocket"

	compat "github.com/seed004e8d11/websock/compat/gorilla"
)

// conn has the methods that both libraries have, with the same signatures.
type conn interface {
	ReadMessage() (int, []byte, error)
	WriteMessage(messageType int, data []byte) error
	WriteControl(messageType int, data []byte, deadline time.Time) error
	NextReader() (int, io.Reader, error)
	NextWriter(messageType int) (io.WriteCloser, error)
	ReadJSON(v any) error
	WriteJSON(v any) error
	SetReadDeadline(t time.Time) error
	SetWriteDeadline(t time.Time) error
	SetReadLimit(limit int64)
	SetPingHandler(h func(appData string) error)
	SetPongHandler(h func(appData string) error)
	SetCloseHandler(h func(code int, text string) error)
	PingHandler() func(appData string) error
	PongHandler() func(appData string) error
	CloseHandler() func(code int, text string) error
	Subprotocol() string
	LocalAddr() net.Addr
	RemoteAddr() net.Addr
	Close() error
}

// A library is gorilla/websocket or compat/gorilla.
type library struct {
	dial       func(ctx context.Context, url string, header http.Header, o options) (conn, *http.Response, error)
	upgrade    func(w http.ResponseWriter, r *http.Request, header http.Header, o options) (conn, error)
	prepared   func(c conn, messageType int, data []byte) error
	format     func(closeCode int, text string) []byte
	isClose    func(err error, codes ...int) bool
	unexpected func(err error, codes ...int) bool
	named      map[string]error
}

// options are fields that a Dialer and an Upgrader have in common.
type options struct {
	subprotocols []string
	compress     bool
	checkOrigin  func(*http.Request) bool
	jar          http.CookieJar
	timeout      time.Duration
}

var theirs = library{
	dial: func(ctx context.Context, url string, header http.Header, o options) (conn, *http.Response, error) {
		d := gorilla.Dialer{Subprotocols: o.subprotocols, EnableCompression: o.compress, Jar: o.jar, HandshakeTimeout: o.timeout}
		c, r, err := d.DialContext(ctx, url, header)
		return c, r, err
	},
	upgrade: func(w http.ResponseWriter, r *http.Request, header http.Header, o options) (conn, error) {
		u := gorilla.Upgrader{Subprotocols: o.subprotocols, EnableCompression: o.compress, CheckOrigin: o.checkOrigin}
		c, err := u.Upgrade(w, r, header)
		return c, err
	},
	prepared: func(c conn, messageType int, data []byte) error {
		pm, err := gorilla.NewPreparedMessage(messageType, data)
		if err != nil {
			return err
		}
		return c.(*gorilla.Conn).WritePreparedMessage(pm)
	},
	format:     gorilla.FormatCloseMessage,
	isClose:    gorilla.IsCloseError,
	unexpected: gorilla.IsUnexpectedCloseError,
	named: map[string]error{
		"close sent": gorilla.ErrCloseSent, "read limit": gorilla.ErrReadLimit, "bad handshake": gorilla.ErrBadHandshake,
	},
}

var ours = library{
	dial: func(ctx context.Context, url string, header http.Header, o options) (conn, *http.Response, error) {
		d := compat.Dialer{Subprotocols: o.subprotocols, EnableCompression: o.compress, Jar: o.jar, HandshakeTimeout: o.timeout}
		c, r, err := d.DialContext(ctx, url, header)
		return c, r, err
	},
	upgrade: func(w http.ResponseWriter, r *http.Request, header http.Header, o options) (conn, error) {
		u := compat.Upgrader{Subprotocols: o.subprotocols, EnableCompression: o.compress, CheckOrigin: o.checkOrigin}
		c, err := u.Upgrade(w, r, header)
		return c, err
	},
	prepared: func(c conn, messageType int, data []byte) error {
		pm, err := compat.NewPreparedMessage(messageType, data)
		if err != nil {
			return err
		}
		return c.(*compat.Conn).WritePreparedMessage(pm)
	},
	format:     compat.FormatCloseMessage,
	isClose:    compat.IsCloseError,
	unexpected: compat.IsUnexpectedCloseError,
	named: map[string]error{
		"close sent": compat.ErrCloseSent, "read limit": compat.ErrReadLimit, "bad handshake": compat.ErrBadHandshake,
	},
}

// describe returns what programs can tell of an error.
func (l *library) describe(err error) string {
	var timeout net.Error
	switch {
	case err == nil:
		return "nil"
	case l.unexpected(err): // it is a CloseError
		return "close" + closeFields(err)
	case errors.As(err, &timeout) && timeout.Timeout():
		return "timeout"
	case errors.Is(err, net.ErrClosed):
		return "net.ErrClosed"
	case errors.Is(err, errOfHandler):
		return "error of the handler"
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return err.Error()
	}
	for name, named := range l.named {
		if err == named {
			return name
		}
	}
	return "error"
}

var errOfHandler = errors.New("error of a handler")

// closeFields returns the fields of a CloseError of either library.
func closeFields(err error) string {
	switch err := err.(type) {
	case *gorilla.CloseError:
		return fmt.Sprintf(" %d %q", err.Code, err.Text)
	case *compat.CloseError:
		return fmt.Sprintf(" %d %q", err.Code, err.Text)
	}
	return ""
}
