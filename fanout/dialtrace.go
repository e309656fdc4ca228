package fanout

import (
	"crypto/tls"
	"net"
	"net/url"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/seed004e8d11/websock"
)

// A dialTrace stands between a Mux and the Trace of an attempt. The Mux calls the functions of dialing
// from a goroutine of its own, also when the attempt has ended, since others may wait for the connection.
// They must be neither called then nor end the process if they panic.
type dialTrace struct {
	attempt *attempt
	dials   atomic.Bool // a connection, and doesn't use only those of others

	mu    sync.Mutex
	ended bool           // nothing is called any more
	err   error          // after a function has panicked
	calls sync.WaitGroup // under way
}

// wrap returns t, which may be nil, with calls of d.
func (d *dialTrace) wrap(t *websock.Trace) *websock.Trace {
	if t == nil {
		t = &websock.Trace{}
	}
	own := *t
	own.DialStart = func(network, addr string) {
		d.dials.Store(true)
		if t.DialStart != nil {
			d.call(func() { t.DialStart(network, addr) })
		}
	}
	own.HandshakeStart = func(host string) {
		if !d.dials.Load() {
			d.attempt.slot.group.dials.sharesConn(d.attempt)
		}
		if t.HandshakeStart != nil {
			t.HandshakeStart(host)
		}
	}
	if t.DialDone != nil {
		own.DialDone = func(network, addr string, conn net.Conn, err error) {
			d.call(func() { t.DialDone(network, addr, conn, err) })
		}
	}
	if t.ProxyStart != nil {
		own.ProxyStart = func(proxy *url.URL, addr string) { d.call(func() { t.ProxyStart(proxy, addr) }) }
	}
	if t.ProxyDone != nil {
		own.ProxyDone = func(proxy *url.URL, addr string, err error) {
			d.call(func() { t.ProxyDone(proxy, addr, err) })
		}
	}
	if t.TLSStart != nil {
		own.TLSStart = func(host string) { d.call(func() { t.TLSStart(host) }) }
	}
	if t.TLSDone != nil {
		own.TLSDone = func(host string, state tls.ConnectionState, err error) {
			d.call(func() { t.TLSDone(host, state, err) })
		}
	}
	return &own
}

// call calls f, unless the attempt has ended. If f panics, dialing ends.
func (d *dialTrace) call(f func()) {
	if !d.begin() {
		return
	}
	defer d.calls.Done()
	defer func() {
		if v := recover(); v != nil {
			d.failed(d.attempt.slot.recovered(v))
			runtime.Goexit()
		}
	}()
	f()
}

// begin reports whether a function may be called.
func (d *dialTrace) begin() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended {
		return false
	}
	d.calls.Add(1)
	return true
}

// failed notes an error with which the attempt ends.
func (d *dialTrace) failed(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = err
}

// end waits for the calls under way, after which none is made any more. It returns the error of the
// attempt, which has failed with err or not.
func (d *dialTrace) end(err error) error {
	d.mu.Lock()
	d.ended = true
	d.mu.Unlock()
	d.calls.Wait()
	if err != nil && d.err != nil {
		return d.err
	}
	return err
}
