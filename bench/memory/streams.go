package memory

import (
	"bytes"
	"context"
	"errors"
	"net"
	"slices"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/engine"
)

// streams is how many WebSockets share the connection to a StreamNetwork.
const streams = 10

// mostData is the largest payload of a frame that every peer takes (RFC 9113 section 6.5.2).
const mostData = 16 << 10

// A StreamNetwork is a Network whose server speaks HTTP/2. A read returns a frame for each stream.
type StreamNetwork struct {
	*Network
	received bytes.Buffer // of the handshakes, as far as they are incomplete
	preface  bool         // it was received
	opened   int          // streams
	begin    chan struct{}
}

// newStreams returns a network that sends a payload times times over streams streams.
func newStreams(op websock.Opcode, payload []byte, times int) *StreamNetwork {
	message := engine.AppendHeader(nil, websock.Header{Fin: true, Opcode: op, Length: int64(len(payload))})
	message = append(message, payload...)
	var round bytes.Buffer
	framer := http2.NewFramer(&round, nil)
	for i := range uint32(streams) {
		for part := range slices.Chunk(message, mostData) {
			framer.WriteData(1+2*i, false, part)
		}
	}
	n := &Network{
		frames:    round.Bytes(),
		maxRead:   round.Len(),
		remaining: times / streams * round.Len(),
		responses: make(chan []byte, 2+streams),
	}
	return &StreamNetwork{Network: n, begin: make(chan struct{})}
}

// Read implements net.Conn.
func (n *StreamNetwork) Read(p []byte) (int, error) {
	if !n.begun {
		select {
		case response := <-n.responses:
			return copy(p, response), nil
		case <-n.begin:
			n.begun = true
		}
	}
	return n.Network.Read(p)
}

// Write implements net.Conn.
func (n *StreamNetwork) Write(p []byte) (int, error) {
	if n.responded {
		return n.Network.Write(p)
	}
	n.received.Write(p)
	if !n.preface {
		n.received.Next(len(http2.ClientPreface))
		n.preface = true
		n.respond(func(f *http2.Framer) {
			f.WriteSettings(http2.Setting{ID: http2.SettingEnableConnectProtocol, Val: 1})
			f.WriteWindowUpdate(0, 1<<30)
		})
	}
	n.answer()
	return len(p), nil
}

// answer answers the requests that were received.
func (n *StreamNetwork) answer() {
	framer := http2.NewFramer(nil, &n.received) // each write has whole frames
	for n.received.Len() > 0 {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		id := frame.Header().StreamID
		if frame.Header().Type != http2.FrameHeaders {
			continue
		}
		var block bytes.Buffer
		hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "200"})
		n.respond(func(f *http2.Framer) {
			f.WriteHeaders(http2.HeadersFrameParam{StreamID: id, BlockFragment: block.Bytes(), EndHeaders: true})
			f.WriteWindowUpdate(id, 1<<30)
		})
		n.opened++
		n.responded = n.opened == streams
	}
}

func (n *StreamNetwork) respond(write func(*http2.Framer)) {
	var response bytes.Buffer
	write(http2.NewFramer(&response, nil))
	n.responses <- response.Bytes()
}

// A Sharing is the Client of a StreamNetwork: Handlers that receive whole messages.
type Sharing struct {
	network *StreamNetwork
	conns   []*handled
	work    Work
}

// DialStreams returns a client, and the network that counts what it reads and writes.
func DialStreams(w Work) (*Sharing, *Network, error) {
	s := &Sharing{network: newStreams(w.Op, w.Payload, w.Times), work: w}
	config := &websock.Config{
		NetDial:   func(context.Context, string, string) (net.Conn, error) { return s.network, nil },
		Transport: nonblocking{},
		Mux:       &websock.Mux{Cleartext: true},
	}
	for range streams {
		conn, err := websock.Dial(context.Background(), address, config)
		if err != nil {
			return nil, nil, err
		}
		s.conns = append(s.conns, &handled{sender: sender{conn, w.Op}, work: w, ended: make(chan error, 1)})
	}
	return s, s.network.Network, nil
}

// Receive implements Client.
func (s *Sharing) Receive() error {
	for _, c := range s.conns {
		if err := c.conn.SetHandler(websock.Messages(c.deliver, c.closed)); err != nil {
			return err
		}
	}
	close(s.network.begin)
	received := 0
	for _, c := range s.conns {
		<-c.ended
		received += c.received
	}
	if received != s.work.Times/streams*streams {
		return errors.New("messages are missing")
	}
	return nil
}

// Reply implements Client.
func (s *Sharing) Reply() error {
	for _, c := range s.conns {
		c.reply = true
	}
	return s.Receive()
}

// Send implements Client.
func (s *Sharing) Send() error {
	close(s.network.begin)
	for i := range s.work.Times {
		if err := s.conns[i%streams].send(s.work.Payload); err != nil {
			return err
		}
	}
	return nil
}
