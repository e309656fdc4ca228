package fanout

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/seed004e8d11/websock/internal/socket"
)

// A rotatedDial is a dial of an attempt, to the next address of the host. It gets to dialNet as a value
// of the context, so that dialNet is the same function for all attempts: a Mux shares connections only
// between those that dial with the same function.
type rotatedDial struct {
	slot   *Slot
	dialer *net.Dialer // of the Config

	mu   sync.Mutex
	host *resolvedHost // nil: none was looked up
	at   netip.Addr    // of the connection
}

type rotatedDialKey struct{}

// dialNet connects to the next address of a host, in place of Config.Dialer. Another one is tried if
// that fails.
func (b *addressBook) dialNet(ctx context.Context, network, addr string) (net.Conn, error) {
	r := ctx.Value(rotatedDialKey{}).(*rotatedDial)
	dialer := socket.LatePort(r.dialer)
	host, port, err := net.SplitHostPort(addr)
	if err != nil || isIP(host) || network != "tcp" {
		return dialer.DialContext(ctx, network, addr)
	}
	ctx, cancel := withDialerTimeout(ctx, dialer)
	defer cancel()
	name := hostName{name: host}
	if b.rotation.Lookup == nil {
		name.resolver = dialer.Resolver
	}
	h, err := b.find(ctx, name, r.slot)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	c := &addressDial{book: b, host: h, dialer: dialer, port: port}
	first, second := b.next(h, localIP(dialer))
	conn, err := c.dial(ctx, first, second)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.host, r.at = h, c.at
	return conn, nil
}

func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

// withDialerTimeout returns a context with the bounds of a Dialer.
func withDialerTimeout(ctx context.Context, d *net.Dialer) (context.Context, context.CancelFunc) {
	end := d.Deadline
	if d.Timeout > 0 {
		if at := time.Now().Add(d.Timeout); end.IsZero() || at.Before(end) {
			end = at
		}
	}
	if end.IsZero() {
		return context.WithCancel(ctx)
	}
	return context.WithDeadline(ctx, end)
}

// localIP returns the source address of a Dialer, nil if it has none.
func localIP(d *net.Dialer) net.IP {
	if tcp, ok := d.LocalAddr.(*net.TCPAddr); ok && len(tcp.IP) > 0 && !tcp.IP.IsUnspecified() {
		return tcp.IP
	}
	return nil
}

// ended notes how the attempt has ended, which may be for a reason that doesn't concern the server.
func (r *rotatedDial) ended(b *addressBook, ok bool) {
	r.mu.Lock()
	host, at := r.host, r.at
	r.mu.Unlock()
	if host != nil {
		b.note(host, at, ok)
	}
}

// An addressDial connects to one of the addresses of a host.
type addressDial struct {
	book   *addressBook
	host   *resolvedHost
	dialer *net.Dialer
	port   string
	at     netip.Addr // of the connection
}

// A dialed is what a dial has led to.
type dialed struct {
	conn net.Conn
	at   netip.Addr
	err  error
}

// fallbackDelay is the default of net.Dialer.FallbackDelay.
const fallbackDelay = 300 * time.Millisecond

var errNoAddress = errors.New("the host has no address that can be connected to from the source address")

// dial connects to one of the first addresses or, if that takes long (RFC 8305) or fails, to one of the
// second.
func (d *addressDial) dial(ctx context.Context, first, second []netip.Addr) (net.Conn, error) {
	delay := orDefault(d.dialer.FallbackDelay, fallbackDelay)
	switch {
	case len(first) == 0 && len(second) == 0:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Source: d.dialer.LocalAddr, Err: errNoAddress}
	case delay < 0 || len(second) == 0:
		r := d.inTurn(ctx, append(first, second...))
		d.at = r.at
		return r.conn, r.err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, 2)
	d.start(ctx, first, results)
	late := time.NewTimer(delay)
	defer late.Stop()
	underWay, more := 1, second
	var failed error
	for underWay > 0 {
		select {
		case <-late.C:
		case r := <-results:
			underWay--
			if r.err == nil {
				cancel()
				go closeAll(results, underWay)
				d.at = r.at
				return r.conn, nil
			}
			failed = orDefault(failed, r.err)
		}
		if more != nil {
			d.start(ctx, more, results)
			underWay, more = underWay+1, nil
		}
	}
	return nil, failed
}

// closeAll closes the connections that come too late.
func closeAll(results chan dialed, underWay int) {
	for range underWay {
		if r := <-results; r.err == nil {
			r.conn.Close()
		}
	}
}

var errNotDialed = errors.New("a function of the Dialer has not returned")

// start connects to one of the addresses in a goroutine.
func (d *addressDial) start(ctx context.Context, addrs []netip.Addr, results chan<- dialed) {
	go func() {
		r := dialed{err: errNotDialed}
		defer func() { results <- r }()
		r = d.inTurn(ctx, addrs)
	}()
}

// leastDialTime is how long an address gets although there is little time for all of them.
const leastDialTime = 2 * time.Second

// inTurn tries the addresses one after another. Each gets its part of the time that is left. If all
// fail, the error is that of the first one.
func (d *addressDial) inTurn(ctx context.Context, addrs []netip.Addr) dialed {
	var failed error
	for i, at := range addrs {
		one, cancel := withPart(ctx, len(addrs)-i)
		conn, err := d.dialer.DialContext(one, "tcp", net.JoinHostPort(at.String(), d.port))
		cancel()
		if err == nil {
			return dialed{conn: conn, at: at}
		}
		failed = orDefault(failed, err)
		if speaksOfAddress(err) {
			d.book.note(d.host, at, false)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return dialed{err: failed}
}

// speaksOfAddress reports whether a dial has failed because of the address, and not because it was
// cancelled or something is missing here.
func speaksOfAddress(err error) bool {
	return !errors.Is(err, context.Canceled) && FailureOf(err) != FailedLocal
}

// withPart returns a context that ends after the n-th part of the time that ctx has left.
func withPart(ctx context.Context, n int) (context.Context, context.CancelFunc) {
	end, ok := ctx.Deadline()
	if !ok {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, max(time.Until(end)/time.Duration(n), leastDialTime))
}
