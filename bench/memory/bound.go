package memory

import (
	"encoding/binary"
	"io"

	"github.com/seed004e8d11/websock/mask"
)

// A boundLink does only what is necessary and checks nothing: it assumes that all frames are whole,
// unmasked binary messages, and masks with a constant key.
type boundLink struct {
	net    *Network
	staged []byte // read and not received
	room   []byte
	buf    []byte // of the caller; nil: receive returns views
	out    []byte
	key    [4]byte
}

// boundStaging is the size of reads. Larger ones are no faster.
const boundStaging = 16 << 10

func dialBound(copies bool) func(*Network, Work) (Client, error) {
	return func(n *Network, w Work) (Client, error) {
		l := &boundLink{net: n.Skip(), room: make([]byte, max(boundStaging, 2*len(w.Payload))), key: [4]byte{1, 2, 3, 4}}
		if copies {
			l.room, l.buf = l.room[:boundStaging], make([]byte, len(w.Payload))
		}
		l.out = make([]byte, 14+len(w.Payload))
		return &pulled{link: l, work: w}, nil
	}
}

func (l *boundLink) receive() ([]byte, error) {
	if err := l.stage(2); err != nil {
		return nil, err
	}
	header, length := 2, int(l.staged[1])
	switch length {
	case 126:
		header = 4
		if err := l.stage(header); err != nil {
			return nil, err
		}
		length = int(binary.BigEndian.Uint16(l.staged[2:]))
	case 127:
		header = 10
		if err := l.stage(header); err != nil {
			return nil, err
		}
		length = int(binary.BigEndian.Uint64(l.staged[2:]))
	}
	l.staged = l.staged[header:]
	if l.buf == nil {
		return l.view(length)
	}
	return l.buf[:length], l.read(l.buf[:length])
}

func (l *boundLink) view(n int) ([]byte, error) {
	if err := l.stage(n); err != nil {
		return nil, err
	}
	p := l.staged[:n]
	l.staged = l.staged[n:]
	return p, nil
}

// stage reads until at least n bytes are staged.
func (l *boundLink) stage(n int) error {
	if len(l.staged) >= n {
		return nil
	}
	l.staged = l.room[:copy(l.room, l.staged)]
	for len(l.staged) < n {
		k, err := l.net.Read(l.room[len(l.staged):])
		if err != nil {
			return err
		}
		l.staged = l.room[:len(l.staged)+k]
	}
	return nil
}

// read fills p, first with staged bytes and then from the network.
func (l *boundLink) read(p []byte) error {
	n := copy(p, l.staged)
	l.staged = l.staged[n:]
	for n < len(p) {
		if len(p)-n < boundStaging {
			if err := l.stage(1); err != nil {
				return io.ErrUnexpectedEOF
			}
			k := copy(p[n:], l.staged)
			l.staged = l.staged[k:]
			n += k
			continue
		}
		k, err := l.net.Read(p[n:])
		if err != nil {
			return io.ErrUnexpectedEOF
		}
		n += k
	}
	return nil
}

func (l *boundLink) send(p []byte) error {
	out := append(l.out[:0], 0x82, 0x80|byte(min(len(p), 126)))
	switch {
	case len(p) > 1<<16-1:
		out[1] = 0x80 | 127
		out = binary.BigEndian.AppendUint64(out, uint64(len(p)))
	case len(p) > 125:
		out = binary.BigEndian.AppendUint16(out, uint16(len(p)))
	}
	out = append(out, l.key[:]...)
	header := len(out)
	out = out[:header+len(p)]
	mask.Copy(out[header:], p, l.key, 0)
	_, err := l.net.Write(out)
	return err
}
