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

// A gobwasLink uses the low-level API of gobwas/ws as its README shows, with a buffered reader and one
// write for each frame. It reuses its memory, so that messages don't allocate.
type gobwasLink struct {
	conn   net.Conn
	br     *bufio.Reader
	header []byte // room for one header
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
		return nil, errors.New("the server sent data before the first message")
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

// A gobwasFrame is an io.Writer for headers.
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
		return 0, errors.New("unexpected frame")
	}
	return io.ReadFull(l.br, l.in[:h.Length])
}
