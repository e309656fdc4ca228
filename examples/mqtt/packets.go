package main

import (
	"encoding/binary"
	"net"
	"sync"
)

// packets is a net.Conn that collects the writes of an MQTT packet and makes one write of them,
// so that each packet is one message. MQTT does not require that (MQTT 5 section 6), but Mosquitto
// 2.0.11 sometimes reports a packet in several messages as malformed.
type packets struct {
	net.Conn
	sync.Mutex        // locked by Paho's client for MQTT 5 while it writes a packet
	part       []byte // of an incomplete packet
}

// Write adds b to the packet, and writes it when it is complete.
func (p *packets) Write(b []byte) (int, error) {
	p.part = append(p.part, b...)
	for {
		n := packetSize(p.part)
		if n == 0 || n > len(p.part) {
			return len(b), nil
		}
		if _, err := p.Conn.Write(p.part[:n]); err != nil {
			return 0, err
		}
		p.part = append(p.part[:0], p.part[n:]...)
	}
}

// packetSize returns the size of the packet at the start of b, or 0 if b is too short to tell. A
// packet is a byte, the length of the rest in a variable number of bytes, and the rest.
func packetSize(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	rest, n := binary.Uvarint(b[1:])
	if n <= 0 {
		return 0
	}
	return 1 + n + int(rest)
}
