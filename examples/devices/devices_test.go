package main

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/fanout"
	"github.com/seed004e8d11/websock/internal/leak"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/epoll"
)

func TestMain(m *testing.M) { leak.VerifyTestMain(m) }

var secret = []byte("of the tests")

// newFleet starts a platform on TCP, and devices that ramp connects and the test closes.
func newFleet(t *testing.T, s settings) (f *fleet, p *platform) {
	t.Helper()
	p = newPlatform(secret, epoll.Transport())
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	s.targets = []fanout.Target{{
		URL:    "ws" + strings.TrimPrefix(server.URL, "http"),
		Config: websock.Config{Transport: epoll.Transport(), Limits: websock.Limits{CloseTimeout: time.Minute}},
	}}
	s.rate = -1
	f, err := startFleet(s)
	if err != nil {
		t.Fatal(err)
	}
	return f, p
}

func waitUntil(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: ", what)
		}
	}
}

func TestDevicesConnectMeasureAnswerAndLeave(t *testing.T) {
	const n, lost = 300, 20
	f, p := newFleet(t, settings{secret: secret, first: 1000, interval: 100 * time.Millisecond})
	if err := f.ramp(t.Context(), []int{3, 30, n}, 0); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "all devices have measured", func() bool {
		c, devices := p.state()
		return devices == n && c.telemetry >= 5*n
	})
	if f.group.Find("device-001000") == nil || f.group.Find("device-001299") == nil {
		t.Error("the devices have other numbers")
	}
	sent := 0
	waitUntil(t, "all commands are answered", func() bool {
		sent += p.command(n-sent, "report")
		c, _ := p.state()
		return c.results == n && f.commands.Load() == n
	})

	for number := range lost {
		f.group.Slot(number).Abort()
	}
	waitUntil(t, "the wills of the lost devices are done", func() bool {
		c, devices := p.state()
		return c.wills == lost && devices == n-lost
	})
	if err := f.ramp(t.Context(), []int{n}, 0); err != nil {
		t.Fatal(err)
	}
	if err := f.close(t.Context()); err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "all devices have left", func() bool { _, devices := p.state(); return devices == 0 })
	if c, _ := p.state(); c.connected != n+lost || c.goodbyes != n || c.wills != lost {
		t.Errorf("%+v", c)
	}
}

func TestADeviceWithAWrongTokenIsRefusedForGood(t *testing.T) {
	f, p := newFleet(t, settings{secret: []byte("another"), interval: time.Minute})
	defer f.close(t.Context())
	if err := f.ramp(t.Context(), []int{1, 10}, 0); !errors.Is(err, fanout.ErrDown) {
		t.Errorf("error %v", err)
	}
	var refused *websock.HandshakeError
	if err := f.group.Slot(0).Err(); !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Errorf("error %v", err)
	}
	if _, devices := p.state(); devices != 0 || f.group.Len() != 1 {
		t.Errorf("%d devices are connected, %d were to be", devices, f.group.Len())
	}
}

func TestADeviceHasOneConnection(t *testing.T) {
	f, p := newFleet(t, settings{secret: secret, interval: time.Minute})
	defer f.close(t.Context())
	if err := f.ramp(t.Context(), []int{1}, 0); err != nil {
		t.Fatal(err)
	}
	first := f.group.Slot(0).Conn()
	waitUntil(t, "the platform has the device", func() bool { _, devices := p.state(); return devices == 1 })
	device := "device-000000"
	cfg := f.targets[0].Config
	cfg.Header = http.Header{deviceHeader: {device}, tokenHeader: {tokenOf(secret, device)}}
	cfg.Handler = websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {}, nil)
	clone, err := websock.Dial(t.Context(), f.targets[0].URL, &cfg)
	if err != nil {
		t.Fatal(err)
	}
	waitUntil(t, "the first connection is closed", func() bool { return first.Err() != nil })
	var closed *websock.CloseError
	if !errors.As(first.Err(), &closed) || closed.Code != closeReplaced {
		t.Errorf("error %v", first.Err())
	}
	waitUntil(t, "the device is back", func() bool { return clone.Err() != nil })
	if c, _ := p.state(); c.wills != 0 {
		t.Errorf("%+v", c)
	}
}

// A bubble has a platform and devices in a bubble of testing/synctest, joined by pipes. It records when
// the devices dial.
type bubble struct {
	server *http.Server
	pipes  netpair.Pipes

	mu    sync.Mutex
	dials []time.Time
}

func (b *bubble) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	b.mu.Lock()
	b.dials = append(b.dials, time.Now())
	b.mu.Unlock()
	return b.pipes.Dial(ctx, network, addr)
}

func (b *bubble) takeDials() []time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	dials := b.dials
	b.dials = nil
	return dials
}

// inBubble calls f with devices that are all connected.
func inBubble(t *testing.T, devices int, s settings, f func(*bubble, *fleet, *platform)) {
	synctest.Test(t, func(t *testing.T) {
		b := &bubble{pipes: netpair.NewPipes()}
		p := newPlatform(secret, nil)
		b.server = &http.Server{Handler: p}
		go b.server.Serve(b.pipes)
		s.secret = secret
		s.targets = []fanout.Target{{URL: "ws://platform.example/", Config: websock.Config{NetDial: b.dial, Proxy: websock.NoProxy}}}
		fleet, err := startFleet(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := fleet.ramp(t.Context(), []int{devices}, 0); err != nil {
			t.Fatal(err)
		}
		f(b, fleet, p)
		if err := fleet.close(t.Context()); err != nil {
			t.Error(err)
		}
		b.server.Close()
		time.Sleep(time.Minute) // so that what ends connections comes to its end
	})
}

// After a restart of the platform the devices wait a random time, from 5 to 30 seconds, and come back no
// faster than they are allowed to.
func TestAllDevicesComeBackAtTheirPace(t *testing.T) {
	const devices, rate = 200, 10
	inBubble(t, devices, settings{rate: rate, interval: time.Minute}, func(b *bubble, f *fleet, p *platform) {
		b.takeDials()
		began := time.Now()
		p.restart()
		time.Sleep(time.Minute)
		dials := b.takeDials()
		if len(dials) != devices || f.group.Count(fanout.Up) != devices {
			t.Fatalf("%d handshakes, %d devices connected", len(dials), f.group.Count(fanout.Up))
		}
		if wait := dials[0].Sub(began); wait < fanout.DefaultRestartMin {
			t.Errorf("the first one is back after %v", wait)
		}
		for i := 2 * rate; i < devices; i++ {
			if d := dials[i].Sub(dials[i-2*rate]); d < 19*time.Second/10 {
				t.Errorf("%d handshakes in %v", 2*rate, d)
			}
		}
		if c, _ := p.state(); c.wills != 0 {
			t.Errorf("%+v", c)
		}
	})
}

// Each device measures about once in an interval, and they don't do so together.
func TestTelemetryIsSpreadOverTheInterval(t *testing.T) {
	const devices, minutes = 120, 30
	inBubble(t, devices, settings{rate: -1, interval: time.Minute}, func(_ *bubble, _ *fleet, p *platform) {
		time.Sleep(2 * time.Minute) // the first one comes within an interval
		var perSecond []uint64
		before, _ := p.state()
		last := before.telemetry
		for range minutes * 60 {
			time.Sleep(time.Second)
			synctest.Wait()
			c, _ := p.state()
			perSecond = append(perSecond, c.telemetry-last)
			last = c.telemetry
		}
		least, most := uint64(devices*minutes*8/10), uint64(devices*minutes*4/3+devices)
		if n := last - before.telemetry; n < least || n > most {
			t.Errorf("%d messages, want %d to %d", n, least, most)
		}
		if busiest := slices.Max(perSecond); busiest > devices/4 {
			t.Errorf("%d messages in a second", busiest)
		}
	})
}

func TestScheduleKeepsTheOrder(t *testing.T) {
	var s schedule
	began := time.Now()
	for device, after := range []time.Duration{6, 1, 3} {
		s.add(device, began.Add(after*time.Second))
	}
	var order []int
	for s.passed(began.Add(7 * time.Second)) {
		order = append(order, s[0].device)
		s.delay(4 * time.Second)
	}
	if want := []int{1, 2, 1, 0, 2}; !slices.Equal(order, want) {
		t.Errorf("order %v, want %v", order, want)
	}
}
