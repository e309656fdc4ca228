package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// Port-forward has two channels for each port of the request, in their order: data, and errors as text,
// which only the server sends. On each the server first sends the port, 2 bytes in little-endian
// order. A data channel carries one TCP connection, so each has a WebSocket of its own here.

const (
	dataOfPort   = 0
	errorOfPort  = 1
	maxForwarded = 100              // TCP connections at a time; others wait to be accepted
	lingering    = 10 * time.Second // see carry
)

// forward accepts TCP connections until ctx ends, and carries each to a port of the pod. It closes listener.
func (p pod) forward(ctx context.Context, listener net.Listener, port uint16) error {
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	defer listener.Close()
	var connections sync.WaitGroup
	defer connections.Wait()
	room := make(chan struct{}, maxForwarded)
	for {
		select {
		case room <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		tcp, err := listener.Accept()
		if ctx.Err() != nil {
			if err == nil {
				tcp.Close()
			}
			return nil
		}
		if err != nil {
			return err
		}
		connections.Go(func() {
			if err := p.carry(ctx, tcp.(*net.TCPConn), port); err != nil && ctx.Err() == nil {
				log.Printf("port %d: %v", port, err)
			}
			<-room
		})
	}
}

// carry carries one TCP connection until both directions have ended. If the server speaks only v4, which is
// so with Kubernetes 1.37, it can't be told that ours has ended: what it sends within 10 seconds
// of the last byte is still received.
func (p pod) carry(ctx context.Context, tcp *net.TCPConn, port uint16) error {
	defer tcp.Close()
	c, err := p.dial(ctx, "portforward", url.Values{"ports": {strconv.Itoa(int(port))}})
	if err != nil {
		return err
	}
	defer c.conn.Close()
	defer context.AfterFunc(ctx, func() { c.conn.Abort(context.Cause(ctx)) })()
	var sending sync.WaitGroup
	sending.Go(func() {
		data := c.writer(dataOfPort)
		io.Copy(data, tcp)
		if data.Close() != nil {
			c.conn.SetRecvDeadline(time.Now().Add(lingering))
		}
	})
	problem := &limitedBuffer{room: maxStatus}
	err = c.receive(map[byte]io.WriteCloser{
		dataOfPort:  &afterPort{sink: tcpSink{tcp}, port: port, refuse: c.conn.Abort},
		errorOfPort: &afterPort{sink: problem, port: port, refuse: c.conn.Abort},
	})
	tcp.Close() // ends sending
	sending.Wait()
	switch {
	case problem.Len() > 0:
		return errors.New(problem.String())
	case errors.Is(err, websock.ErrTimeout):
		return nil // of lingering
	}
	return err
}

// tcpSink ends only one direction of a TCP connection when its channel ends.
type tcpSink struct{ *net.TCPConn }

func (s tcpSink) Close() error { return s.CloseWrite() }

// afterPort is the sink of a channel without the port with which it begins.
type afterPort struct {
	sink   io.WriteCloser
	port   uint16
	refuse func(error) // called for another port
	got    []byte
}

func (a *afterPort) Write(p []byte) (int, error) {
	n := min(len(p), 2-len(a.got))
	a.got = append(a.got, p[:n]...)
	if len(a.got) < 2 {
		return n, nil
	}
	if port := binary.LittleEndian.Uint16(a.got); port != a.port {
		err := fmt.Errorf("the channel is for port %d instead of %d", port, a.port)
		a.refuse(err)
		return 0, err
	}
	if n == len(p) {
		return n, nil
	}
	more, err := a.sink.Write(p[n:])
	return n + more, err
}

func (a *afterPort) Close() error { return a.sink.Close() }
