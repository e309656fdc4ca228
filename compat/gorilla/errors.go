package websocket

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"

	"github.com/seed004e8d11/websock"
)

// The close codes (RFC 6455 section 11.7).
const (
	CloseNormalClosure           = 1000
	CloseGoingAway               = 1001
	CloseProtocolError           = 1002
	CloseUnsupportedData         = 1003
	CloseNoStatusReceived        = 1005
	CloseAbnormalClosure         = 1006
	CloseInvalidFramePayloadData = 1007
	ClosePolicyViolation         = 1008
	CloseMessageTooBig           = 1009
	CloseMandatoryExtension      = 1010
	CloseInternalServerErr       = 1011
	CloseServiceRestart          = 1012
	CloseTryAgainLater           = 1013
	CloseTLSHandshake            = 1015
)

// Errors that are returned as they are.
var (
	// ErrCloseSent is returned by writes after a close message was written or answered.
	ErrCloseSent = errors.New("websocket: close sent")

	// ErrReadLimit is returned by reads when a message is larger than the limit of SetReadLimit.
	ErrReadLimit = errors.New("websocket: read limit exceeded")

	// ErrBadHandshake is returned by Dial when the server's response is no opening handshake.
	ErrBadHandshake = errors.New("websocket: bad handshake")
)

// A CloseError is the peer's close frame, or the end of the stream without one
// (CloseAbnormalClosure).
type CloseError struct {
	Code int
	Text string
}

func (e *CloseError) Error() string {
	text := fmt.Sprintf("websocket: close %v", websock.CloseCode(e.Code))
	if e.Text != "" {
		text += ": " + e.Text
	}
	return text
}

// IsCloseError reports whether err is a *CloseError with one of the codes.
func IsCloseError(err error, codes ...int) bool {
	closed, ok := err.(*CloseError)
	return ok && slices.Contains(codes, closed.Code)
}

// IsUnexpectedCloseError reports whether err is a *CloseError with none of the codes.
func IsUnexpectedCloseError(err error, expectedCodes ...int) bool {
	closed, ok := err.(*CloseError)
	return ok && !slices.Contains(expectedCodes, closed.Code)
}

// FormatCloseMessage returns the payload of a close frame with the code and the text: none for
// CloseNoStatusReceived.
func FormatCloseMessage(closeCode int, text string) []byte {
	if closeCode == CloseNoStatusReceived {
		return []byte{}
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(closeCode)), text...)
}

// readError returns the error of a read for an error of a receive.
func (c *Conn) readError(err error) error {
	var closed *websock.CloseError
	var limit *websock.LimitError
	switch {
	case c.isClosed():
		return fmt.Errorf("%w: %w", net.ErrClosed, err)
	case err == websock.ErrTimeout:
		return err
	case errors.As(err, &limit) && limit.Code == websock.CloseMessageTooBig:
		c.awaitClose()
		return ErrReadLimit
	case !errors.As(err, &closed):
		if c.ws.Err() != nil { // the peer got a close frame
			c.awaitClose()
		}
		return err
	case closed.Code == websock.CloseAbnormal || closed.Local && closed.Err != websock.ErrClosed:
		return lost(closed)
	case closed.Local:
		return c.closeReceived(int(closed.Code), "")
	}
	c.awaitClose()
	c.setClosing(true)
	defer c.setClosing(false)
	return c.closeReceived(int(closed.Code), closed.Reason)
}

// closeReceived calls the function of SetCloseHandler for the peer's close frame, and returns the
// error of the read.
func (c *Conn) closeReceived(code int, text string) error {
	if err := c.reads.onClose(code, text); err != nil {
		return err
	}
	return &CloseError{Code: code, Text: text}
}

func (c *Conn) setClosing(closing bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes.closing, c.writes.peerClosed = closing, true
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.writes.closed
}

// lost returns the error of a connection that has ended without the peer's close frame.
func lost(closed *websock.CloseError) error {
	switch {
	case errors.Is(closed, websock.ErrTimeout):
		return websock.ErrTimeout
	case errors.Is(closed, io.ErrUnexpectedEOF):
		return &CloseError{Code: CloseAbnormalClosure, Text: io.ErrUnexpectedEOF.Error()}
	case closed.Local || closed.Err == nil:
		return closed
	}
	return closed.Err
}

// writeError returns the error of a write for that of a send.
func writeError(err error) error {
	var closed *websock.CloseError
	switch {
	case !errors.As(err, &closed):
		return err
	case closed.Code != websock.CloseAbnormal:
		return ErrCloseSent
	}
	return lost(closed)
}
