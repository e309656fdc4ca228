package differential

import (
	"bytes"
	"errors"
	"io"
	"testing/iotest"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/seed004e8d11/websock"
)

// gobwas returns the verdict of gobwas/ws.
func gobwas(role websock.Role, stream []byte) (v verdict) {
	state := ws.StateClientSide
	if role == websock.Server {
		state = ws.StateServerSide
	}
	// After io.EOF behind the header of a control frame, wsutil takes a message for complete.
	conn := struct {
		io.Reader
		io.Writer
	}{io.MultiReader(bytes.NewReader(stream), iotest.ErrReader(io.ErrUnexpectedEOF)), io.Discard}
	for {
		payload, op, err := wsutil.ReadData(conn, state)
		var over wsutil.ClosedError
		switch {
		case err == nil:
			v.messages = append(v.messages, message{websock.Opcode(op), string(payload)})
			continue
		case errors.As(err, &over):
			v.end, v.code = closed, websock.CloseCode(over.Code)
		case errors.Is(err, io.ErrUnexpectedEOF):
		default:
			v.end = refused
		}
		return v
	}
}
