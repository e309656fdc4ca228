package memory

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// peerBuffer is the size of reads of the other libraries: the default of most.
const peerBuffer = 4 << 10

func dialWs(n *Network) (*bufio.Reader, error) {
	d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return n, nil }}
	conn, early, _, err := d.Dial(context.Background(), address)
	switch {
	case err != nil:
		return nil, err
	case early != nil:
		return early, nil
	}
	return bufio.NewReaderSize(conn, peerBuffer), nil
}

// A gobwasLink uses the low-level API of gobwas/ws as its README shows, with a buffered reader and one
// write for each frame. It reuses its memory, so that messages don't allocate. It doesn't validate
// text.
type gobwasLink struct {
	net    *Network
	br     *bufio.Reader
	header []byte
	in     []byte
	out    gobwasFrame
	op     ws.OpCode
}

func dialGobwas(n *Network, w Work) (Client, error) {
	br, err := dialWs(n)
	if err != nil {
		return nil, err
	}
	l := &gobwasLink{net: n, br: br, header: make([]byte, ws.MaxHeaderSize), in: make([]byte, len(w.Payload)), op: ws.OpCode(w.Op)}
	return &pulled{link: l, work: w}, nil
}

func (l *gobwasLink) receive() ([]byte, error) {
	h, err := ws.ReadHeaderBuffer(l.br, l.header)
	if err != nil {
		return nil, err
	}
	if err := ws.CheckHeader(h, ws.StateClientSide); err != nil {
		return nil, err
	}
	if h.OpCode.IsControl() || !h.Fin || h.Length > int64(len(l.in)) {
		return nil, errors.New("a frame that is no part of the work")
	}
	n, err := io.ReadFull(l.br, l.in[:h.Length])
	return l.in[:n], err
}

func (l *gobwasLink) send(p []byte) error {
	h := ws.Header{Fin: true, OpCode: l.op, Masked: true, Mask: ws.NewMask(), Length: int64(len(p))}
	l.out = l.out[:0]
	if err := ws.WriteHeaderBuffer(&l.out, h, l.header); err != nil {
		return err
	}
	start := len(l.out)
	l.out = append(l.out, p...)
	ws.Cipher(l.out[start:], h.Mask, 0)
	_, err := l.net.Write(l.out)
	return err
}

// A gobwasFrame is an io.Writer for headers.
type gobwasFrame []byte

func (f *gobwasFrame) Write(p []byte) (int, error) {
	*f = append(*f, p...)
	return len(p), nil
}

// A wsutilLink uses the message API of gobwas/ws: its Reader, which validates text, and its Writer.
type wsutilLink struct {
	r  *wsutil.Reader
	w  *wsutil.Writer
	in []byte
}

func dialWsutil(n *Network, w Work) (Client, error) {
	br, err := dialWs(n)
	if err != nil {
		return nil, err
	}
	r := &wsutil.Reader{Source: br, State: ws.StateClientSide, CheckUTF8: true}
	out := wsutil.NewWriterSize(n, ws.StateClientSide, ws.OpCode(w.Op), max(len(w.Payload), 1))
	return &pulled{link: &wsutilLink{r, out, make([]byte, len(w.Payload)+1)}, work: w}, nil
}

func (l *wsutilLink) receive() ([]byte, error) {
	if _, err := l.r.NextFrame(); err != nil {
		return nil, err
	}
	return readMessage(l.r, l.in)
}

func (l *wsutilLink) send(p []byte) error {
	if _, err := l.w.Write(p); err != nil {
		return err
	}
	return l.w.Flush()
}

// readMessage reads a message that is shorter than buf.
func readMessage(r io.Reader, buf []byte) ([]byte, error) {
	for n := 0; n < len(buf); {
		more, err := r.Read(buf[n:])
		n += more
		if err == io.EOF {
			return buf[:n], nil
		}
		if err != nil {
			return nil, err
		}
	}
	return buf, nil
}
