package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
)

// reverse reads to the end, and then answers with everything in reverse order.
func reverse(conn *net.TCPConn) {
	all, err := io.ReadAll(conn)
	if err != nil {
		return
	}
	for i, j := 0, len(all)-1; i < j; i, j = i+1, j-1 {
		all[i], all[j] = all[j], all[i]
	}
	conn.Write(all)
}

func TestEachDirectionEndsByItself(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	addr := forwarded(t, p, newService(t, reverse))
	var clients sync.WaitGroup
	for range 10 {
		clients.Go(func() {
			sent := make([]byte, 300_001)
			rand.Read(sent)
			conn := dialTCP(t, addr)
			conn.Write(sent)
			conn.CloseWrite()
			got, err := io.ReadAll(conn)
			if err != nil || len(got) != len(sent) || got[0] != sent[len(sent)-1] || got[len(got)-1] != sent[0] {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
	clients.Wait()
}

// A service that ends its direction first still gets what comes afterwards.
func TestServiceEndsFirst(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	got := make(chan []byte, 1)
	addr := forwarded(t, p, newService(t, func(conn *net.TCPConn) {
		conn.Write([]byte("welcome"))
		conn.CloseWrite()
		all, _ := io.ReadAll(conn)
		got <- all
	}))
	conn := dialTCP(t, addr)
	if all, err := io.ReadAll(conn); string(all) != "welcome" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
	conn.Write([]byte("thanks"))
	conn.Close()
	if all := <-got; string(all) != "thanks" {
		t.Errorf("%q", all)
	}
}

func TestVersionWithoutHalfCloseEndsWithTheService(t *testing.T) {
	p, _ := newPod(t, protocolV4)
	addr := forwarded(t, p, newService(t, func(conn *net.TCPConn) {
		request := make([]byte, 4)
		io.ReadFull(conn, request)
		conn.Write(bytes.ToUpper(request))
	}))
	conn := dialTCP(t, addr)
	conn.Write([]byte("ping"))
	conn.CloseWrite()
	if all, err := io.ReadAll(conn); string(all) != "PING" || err != nil {
		t.Errorf("%q, %v", all, err)
	}
}

func TestConnectionsEndWithTheClient(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	ended := make(chan error, 1)
	addr := forwarded(t, p, newService(t, func(conn *net.TCPConn) {
		_, err := io.Copy(io.Discard, conn)
		ended <- err
	}))
	conn := dialTCP(t, addr)
	conn.Write([]byte("x"))
	conn.Close()
	<-ended
}

func TestPortThatRefusesIsAnError(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	here, there := tcpPair(t)
	defer there.Close()
	err := p.carry(within(t), here, 1) // where nothing listens
	if err == nil || !strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
}

func tcpPair(t *testing.T) (here, there *net.TCPConn) {
	listener := listen(t)
	there = dialTCP(t, listener.Addr().String())
	conn, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return conn.(*net.TCPConn), there
}

func TestChannelsOfTwoPorts(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	first := newService(t, func(conn *net.TCPConn) { io.WriteString(conn, "one"); io.Copy(io.Discard, conn) })
	second := newService(t, func(conn *net.TCPConn) { io.WriteString(conn, "two"); io.Copy(io.Discard, conn) })
	ports := string(binary.LittleEndian.AppendUint16(nil, first)) + string(binary.LittleEndian.AppendUint16(nil, second))
	c, err := p.dial(within(t), "portforward", url.Values{"ports": {text(first), text(second)}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.conn.Close()
	got := map[byte]string{}
	c.conn.SetRecvDeadline(time.Now().Add(time.Minute))
	for len(got[0])+len(got[1])+len(got[2])+len(got[3]) < 2*4+6 || got[endOfChannel] != "\x00\x02" && got[endOfChannel] != "\x02\x00" {
		_, message, err := c.conn.RecvMessage(nil)
		if err != nil {
			t.Fatal(err, got)
		}
		got[message[0]] += string(message[1:])
		if len(message) > 2 && (string(message[1:]) == "one" || string(message[1:]) == "two") {
			c.writer(message[0]).Close() // the service ends its direction then
		}
	}
	if got[0] != ports[:2]+"one" || got[1] != ports[:2] || got[2] != ports[2:]+"two" || got[3] != ports[2:] {
		t.Errorf("%q", got)
	}
}

func text(port uint16) string { return strconv.Itoa(int(port)) }

func TestChannelOfAnotherPortIsRefused(t *testing.T) {
	p := newPodOf(t, func(conn *websock.Conn) {
		conn.SendBinary([]byte{0, 1})
		conn.SendBinary([]byte{0, 2, 'x'})
		conn.RecvMessage(nil)
	})
	here, there := tcpPair(t)
	err := p.carry(within(t), here, 80)
	if err == nil || !strings.Contains(err.Error(), "port 513 instead of 80") {
		t.Error(err)
	}
	if all, _ := io.ReadAll(there); len(all) > 0 {
		t.Errorf("%q", all)
	}
}

func TestPortsOfARequest(t *testing.T) {
	for text, want := range map[string]int{
		"80": 1, "80,443": 2, "65535": 1,
		"": 0, "0": 0, "65536": 0, "-1": 0, "http": 0, "80,": 0, strings.Repeat("1,", maxPorts) + "1": 0,
	} {
		ports, err := parsePorts([]string{text})
		if len(ports) != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %v, %v", text, ports, err)
		}
	}
}
