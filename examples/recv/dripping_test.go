package main

import (
	"net"
	"time"

	"github.com/seed004e8d11/websock/transport"
	"github.com/seed004e8d11/websock/transport/std"
)

// dripping makes transports that write the first byte, pause, and then write the rest.
type dripping struct{}

func (dripping) Attach(conn net.Conn, early []byte) (transport.Conn, error) {
	return std.New(drip{conn}, early), nil
}

type drip struct{ net.Conn }

func (d drip) Write(p []byte) (int, error) {
	n, err := d.Conn.Write(p[:1])
	if err != nil || len(p) == 1 {
		return n, err
	}
	time.Sleep(pause)
	m, err := d.Conn.Write(p[1:])
	return n + m, err
}
