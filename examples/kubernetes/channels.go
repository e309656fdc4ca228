package main

import (
	"errors"
	"io"
	"time"

	"github.com/seed004e8d11/websock"
)

// The subprotocols. In both, the first byte of each binary message is the number of a channel, and the
// rest is a piece of its stream of bytes. In v5 the byte 255 and the number of a channel end that
// direction of it; in v4 only the end of the connection does.
const (
	protocolV4 = "v4.channel.k8s.io"
	protocolV5 = "v5.channel.k8s.io"

	endOfChannel = 255
)

// pieceSize is how much of a stream is sent in one message at most.
const pieceSize = 32 << 10

// keepAlive notices a peer that is gone. Since nothing is received while a channel is not read, a
// command may leave its input, and a client the output, unread for as long as Timeout.
var keepAlive = websock.KeepAlive{Ping: 30 * time.Second, Timeout: 10 * time.Minute}

// channels are streams of bytes that share a connection. They have no flow control of their own: a
// stream that is not read holds up the others.
type channels struct {
	conn *websock.Conn
}

// halfClose reports whether one direction of a channel can be ended.
func (c channels) halfClose() bool { return c.conn.Subprotocol() == protocolV5 }

// writer returns what writes to a channel. It may be used while others write to other channels.
func (c channels) writer(number byte) io.WriteCloser { return channelWriter{c, number} }

type channelWriter struct {
	channels
	number byte
}

// Write sends p, which may be empty, as one message, or as several if it is long. It waits for the peer.
func (w channelWriter) Write(p []byte) (n int, err error) {
	for {
		piece := p[n:min(n+pieceSize, len(p))]
		message, err := w.conn.Reserve(1 + len(piece))
		if err != nil {
			return n, err
		}
		message.Bytes()[0] = w.number
		copy(message.Bytes()[1:], piece)
		if err := message.SendBinary(1 + len(piece)); err != nil {
			return n, err
		}
		if n += len(piece); n == len(p) {
			return n, nil
		}
	}
}

var errNoHalfClose = errors.New("the server's protocol, " + protocolV4 + ", can't end one direction")

// Close tells the peer that nothing more is written to the channel.
func (w channelWriter) Close() error {
	if !w.halfClose() {
		return errNoHalfClose
	}
	return w.conn.SendBinary([]byte{endOfChannel, w.number})
}

// receive writes what arrives on each channel to its sink, until the connection ends. It closes a sink
// when its channel ends, and all of them when it returns. What a sink does not take is dropped, as is
// what is for other channels. The error is nil if the peer has closed the connection with 1000.
func (c channels) receive(sinks map[byte]io.WriteCloser) error {
	defer func() {
		for _, sink := range sinks {
			sink.Close()
		}
	}()
	buf := make([]byte, pieceSize)
	for {
		op, message, err := c.conn.NextReader() // skips what is left of the last one
		if closed := new(websock.CloseError); errors.As(err, &closed) && closed.Code == websock.CloseNormal && !closed.Local {
			return nil
		}
		if err != nil {
			return err
		}
		if op != websock.OpBinary {
			c.conn.CloseWith(websock.CloseUnsupportedData, "channels are binary")
			return errors.New("a message that is not binary")
		}
		if _, err := io.ReadFull(message, buf[:1]); err != nil {
			continue // an empty message, or an error that NextReader returns, too
		}
		if number := buf[0]; number != endOfChannel || !c.halfClose() {
			if sink := sinks[number]; sink != nil {
				io.CopyBuffer(sink, message, buf)
			}
		} else if _, err := io.ReadFull(message, buf[:1]); err == nil {
			if sink := sinks[buf[0]]; sink != nil {
				sink.Close()
			}
		}
	}
}

// nopCloser is a sink for a writer that is used afterwards.
type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
