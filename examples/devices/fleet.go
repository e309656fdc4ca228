package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
)

// settings say what the devices are and do.
type settings struct {
	targets  []fanout.Target // one for each source address
	secret   []byte
	first    int           // number of the first device, so that several processes can have different ones
	rate     float64       // handshakes a second, also after a restart of the platform
	interval time.Duration // between two telemetry messages of a device, give or take a quarter
}

// A fleet is a set of devices: the slots of a Group.
type fleet struct {
	settings
	group   *fanout.Group
	stop    chan struct{}
	sending sync.WaitGroup

	telemetry, commands atomic.Uint64 // sent, and answered
}

func startFleet(s settings) (*fleet, error) {
	f := &fleet{settings: s, stop: make(chan struct{})}
	group, err := fanout.Start(fanout.Options{
		Targets:   s.targets,
		Size:      -1, // ramp adds the devices
		Key:       func(number int) string { return fmt.Sprintf("device-%06d", s.first+number) },
		Pace:      fanout.Pace{Rate: s.rate},
		Prepare:   f.identify,
		OnConnect: f.hello,
		OnMessage: f.receive,
		Ping:      time.Minute,
		Logger:    slog.Default(),
	})
	if err != nil {
		return nil, err
	}
	f.group = group
	f.sending.Go(f.sendTelemetry)
	return f, nil
}

// ramp adds devices in stages, numbers of devices, and waits after each one until all are connected and
// a hold has passed. It stops at the stage at which the platform refuses a device for good.
func (f *fleet) ramp(ctx context.Context, stages []int, hold time.Duration) error {
	for _, n := range stages {
		if err := f.group.Resize(n); err != nil {
			return err
		}
		if err := f.group.WaitUp(ctx, n); err != nil {
			return fmt.Errorf("only %d of %d devices are connected: %w", f.group.Count(fanout.Up), n, err)
		}
		slog.Info("all devices of the stage are connected", "devices", n)
		select {
		case <-time.After(hold):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// identify gives each handshake the identity and the token of the device.
func (f *fleet) identify(_ context.Context, slot *fanout.Slot, t *fanout.Target) error {
	t.Config.Header = http.Header{
		deviceHeader: {slot.Key()},
		tokenHeader:  {tokenOf(f.secret, slot.Key())},
	}
	return nil
}

// hello is sent on each connection before anything else.
func (f *fleet) hello(_ context.Context, _ *fanout.Slot, conn *websock.Conn) error {
	text, err := json.Marshal(message{Type: "hello", Text: "lost"})
	if err != nil {
		return err
	}
	return conn.SendText(text)
}

// receive answers commands.
func (f *fleet) receive(slot *fanout.Slot, _ websock.Opcode, msg []byte) {
	var m message
	if err := json.Unmarshal(msg, &m); err != nil || m.Type != "command" {
		return
	}
	if f.send(slot, message{Type: "result", Number: m.Number, Text: "ok"}) {
		f.commands.Add(1)
	}
}

// send reports whether the message was sent. It never waits. A device that is down sends nothing.
func (f *fleet) send(slot *fanout.Slot, m message) bool {
	text, err := json.Marshal(m)
	return err == nil && slot.SendText(text) == nil
}

// sendTelemetry sends for all devices: a goroutine or timer for each one would need more memory than
// the device has otherwise.
func (f *fleet) sendTelemetry() {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	due := schedule{}
	for {
		select {
		case now := <-ticker.C:
			for n := len(due); n < f.group.Len(); n++ {
				due.add(n, now.Add(rand.N(f.interval)))
			}
			for due.passed(now) {
				f.measure(&due[0])
				due.delay(f.interval*3/4 + rand.N(f.interval/2+1))
			}
		case <-f.stop:
			return
		}
	}
}

// measure sends telemetry of a device, if that is connected.
func (f *fleet) measure(a *appointment) {
	a.count++
	m := message{Type: "telemetry", Number: a.count, Value: 20 + 5*rand.Float64()}
	if slot := f.group.Slot(a.device); slot != nil && f.send(slot, m) {
		f.telemetry.Add(1)
	}
}

// close has all devices say goodbye and disconnect.
func (f *fleet) close(ctx context.Context) error {
	close(f.stop)
	f.sending.Wait()
	text, err := json.Marshal(message{Type: "goodbye"})
	if err != nil {
		return err
	}
	f.group.Broadcast(websock.OpText, text)
	return f.group.Shutdown(ctx) // what was sent is written before
}
