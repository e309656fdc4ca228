package main

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"net/http"
	"sync"

	"github.com/seed004e8d11/websock"
)

// A platform is the server of the devices.
type platform struct {
	secret    []byte
	transport websock.Transport // nil: the default
	handler   websock.Handler   // of all connections

	mu      sync.Mutex
	devices map[string]*websock.Conn // each has a *session as its value
	counts  counts
}

// counts are since the platform was made.
type counts struct {
	connected, telemetry, commands, results uint64
	goodbyes                                uint64 // devices that have said goodbye
	wills                                   uint64 // devices that were lost without
}

// A session is what the platform knows of a connection. The lock of the platform guards it.
type session struct {
	device  string
	will    string // what others are told if the device is lost; "": nothing
	command uint64 // number of the command that is not answered; 0: none
}

// closeReplaced is the close code for a connection whose device has made another one.
const closeReplaced websock.CloseCode = 4409

func newPlatform(secret []byte, transport websock.Transport) *platform {
	p := &platform{secret: secret, transport: transport, devices: map[string]*websock.Conn{}}
	p.handler = websock.Messages(p.receive, p.gone)
	return p
}

// ServeHTTP accepts a device.
func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	conn, err := websock.Accept(w, r, &websock.AcceptOptions{
		CheckRequest: p.authenticate,
		Transport:    p.transport,
		Limits:       websock.Limits{MessageSize: 4 << 10},
	})
	if err != nil {
		return // Accept has answered
	}
	s := &session{device: r.Header.Get(deviceHeader)}
	conn.SetValue(s)
	p.mu.Lock()
	replaced := p.devices[s.device]
	p.devices[s.device] = conn
	p.counts.connected++
	p.mu.Unlock()
	if replaced != nil {
		replaced.CloseWith(closeReplaced, "connected elsewhere")
	}
	if err := conn.SetHandler(p.handler); err != nil {
		p.gone(conn, err)
	}
}

func (p *platform) authenticate(r *http.Request) error {
	want := tokenOf(p.secret, r.Header.Get(deviceHeader))
	if !hmac.Equal([]byte(r.Header.Get(tokenHeader)), []byte(want)) {
		return &websock.HandshakeError{Status: http.StatusUnauthorized, Reason: "unknown device or wrong token"}
	}
	return nil
}

func (p *platform) receive(conn *websock.Conn, _ websock.Opcode, msg []byte) {
	var m message
	if err := json.Unmarshal(msg, &m); err != nil {
		conn.CloseWith(websock.CloseInvalidPayload, "not JSON")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch s := conn.Value().(*session); m.Type {
	case "hello":
		s.will = m.Text
	case "telemetry":
		p.counts.telemetry++
	case "result":
		if m.Number == s.command && s.command != 0 {
			s.command = 0
			p.counts.results++
		}
	case "goodbye":
		s.will = ""
		p.counts.goodbyes++
	}
}

// gone is called when a connection has ended. If nobody has meant it to end, the device's last will is
// done.
func (p *platform) gone(conn *websock.Conn, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := conn.Value().(*session)
	if p.devices[s.device] == conn {
		delete(p.devices, s.device)
	}
	var closed *websock.CloseError
	if s.will != "" && !(errors.As(err, &closed) && closed.Local) {
		p.counts.wills++ // here the will would be published
	}
}

// command sends a command to up to n devices that have answered the last one, and reports to how many.
func (p *platform) command(n int, text string) (sent int) {
	for _, conn := range p.ready(n) {
		p.mu.Lock()
		p.counts.commands++
		number := p.counts.commands
		conn.Value().(*session).command = number
		p.mu.Unlock()
		msg, err := json.Marshal(message{Type: "command", Number: number, Text: text})
		if err == nil && conn.SendText(msg) == nil {
			sent++
		}
	}
	return sent
}

// ready returns some devices, in the random order of a map.
func (p *platform) ready(n int) (conns []*websock.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range p.devices {
		if len(conns) == n {
			break
		}
		if s := conn.Value().(*session); s.will != "" && s.command == 0 {
			conns = append(conns, conn)
		}
	}
	return conns
}

// restart closes all connections as a server does that restarts. The devices come back, at their pace.
func (p *platform) restart() {
	p.mu.Lock()
	conns := make([]*websock.Conn, 0, len(p.devices))
	for _, conn := range p.devices {
		conns = append(conns, conn)
	}
	p.mu.Unlock()
	for _, conn := range conns {
		conn.CloseWith(websock.CloseServiceRestart, "restarting") // with a Handler it doesn't wait
	}
}

// state returns the counters and the number of devices that are connected.
func (p *platform) state() (counts, int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts, len(p.devices)
}
