package main

import (
	"encoding/binary"
	"net"
	"sync"
)

// packets is a net.Conn that writes each MQTT packet at once, and so as one message, however
// many writes it came in. MQTT doesn't ask for that (MQTT 5 section 6), but Mosquitto 2.0.11
// takes a packet in several messages for malformed now and then.
type packets struct {
	net.Conn
	sync.Mutex        // which Paho's client for MQTT 5 holds while it writes a packet
	part       []byte // of a packet
}

// Write takes a part of a packet.
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

// packetSize returns the size of the packet that b begins with, 0 while that isn't known: a
// byte, the length of the rest in a variable number of bytes, and the rest.
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
