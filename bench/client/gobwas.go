//go:build linux

package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"

	"github.com/gobwas/ws"
)

// A gobwasLink is put together from the lower level of gobwas/ws as its README shows,
// with a buffer in front of the connection and one write for each frame. Its memory is
// its own, so that nothing is allocated for a message.
type gobwasLink struct {
	conn   net.Conn
	br     *bufio.Reader
	header []byte // for one, received or sent
	in     []byte
	out    gobwasFrame
}

func dialGobwas(ctx context.Context, w *Work) (link, error) {
	const buffer = 1024
	d := ws.Dialer{TLSConfig: w.TLS}
	conn, early, _, err := d.Dial(ctx, w.URL)
	if err != nil {
		return nil, err
	}
	if early != nil {
		return nil, errors.New("the server sent something unasked")
	}
	return &gobwasLink{
		conn:   conn,
		br:     bufio.NewReaderSize(conn, buffer),
		header: make([]byte, ws.MaxHeaderSize),
		in:     make([]byte, len(w.Payload)),
	}, nil
}

func (l *gobwasLink) Send(p []byte) error {
	h := ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: ws.NewMask(), Length: int64(len(p))}
	l.out = l.out[:0]
	if err := ws.WriteHeaderBuffer(&l.out, h, l.header); err != nil {
		return err
	}
	start := len(l.out)
	l.out = append(l.out, p...)
	ws.Cipher(l.out[start:], h.Mask, 0)
	_, err := l.conn.Write(l.out)
	return err
}

// A gobwasFrame is what headers are written to.
type gobwasFrame []byte

func (f *gobwasFrame) Write(p []byte) (int, error) {
	*f = append(*f, p...)
	return len(p), nil
}

func (l *gobwasLink) Receive() (int, error) {
	h, err := ws.ReadHeaderBuffer(l.br, l.header)
	if err != nil {
		return 0, err
	}
	if err := ws.CheckHeader(h, ws.StateClientSide); err != nil {
		return 0, err
	}
	if h.OpCode.IsControl() || !h.Fin || h.Length > int64(len(l.in)) {
		return 0, errors.New("a frame that is no part of the work")
	}
	return io.ReadFull(l.br, l.in[:h.Length])
}
