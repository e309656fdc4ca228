package fanout

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// A Rotation has the attempts to a host connect to its addresses in turn, beginning with a random one:
// see Options.Rotation.
type Rotation struct {
	// Lookup returns the addresses of a host name, which is in ASCII. Those after the first 256 are not
	// used. There is one lookup of a host at a time, which all slots share: attempts to the host wait
	// until it returns or they end. ctx ends with Shutdown, or after websock.DefaultTimeout. A panic is
	// one of the slot whose attempt has caused the lookup. nil: the Resolver of the Target's
	// Config.Dialer, or net.DefaultResolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

	// TTL is how long an answer serves, whatever the time to live of the name's records. An error
	// serves for a fifth of it. 0: DefaultTTL. Negative: an answer serves only those who wait for it.
	TTL time.Duration
}

// DefaultTTL is the default of Rotation.TTL.
const DefaultTTL = 5 * time.Second

const (
	maxNames     = 1 << 12 // host names remembered
	maxAddresses = 1 << 8  // of a host
)

// addressAvoidance is for how long an address that has failed is avoided.
var addressAvoidance = avoidTimes{DefaultAvoid, DefaultAvoidMax}

// An addressBook knows the addresses of hosts, and whose turn it is.
type addressBook struct {
	rotation Rotation
	group    *Group
	dial     dialFunc // dialNet, always the same value

	mu    sync.Mutex
	names map[hostName]*resolvedHost
}

// A dialFunc has the type of websock.Config.NetDial.
type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// newAddressBook returns nil if r is nil.
func newAddressBook(g *Group, r *Rotation) *addressBook {
	if r == nil {
		return nil
	}
	b := &addressBook{rotation: *r, group: g, names: map[hostName]*resolvedHost{}}
	b.rotation.TTL = durationOr(r.TTL, DefaultTTL)
	b.dial = b.dialNet
	return b
}

// A hostName is what is looked up, and where.
type hostName struct {
	name     string
	resolver *net.Resolver // nil: net.DefaultResolver, or Lookup
}

// A resolvedHost is what is known of a host name.
type resolvedHost struct {
	err      error // of the last lookup
	expires  time.Time
	lookup   chan struct{} // is closed when the lookup that is under way has ended; nil: none is
	families [families]addressTurn
	prefers  family
}

// A family is one of IP addresses.
type family uint8

const (
	familyIPv4 family = iota
	familyIPv6
	families
)

func familyOf(a netip.Addr) family {
	if a.Is4() {
		return familyIPv4
	}
	return familyIPv6
}

// An addressTurn has the addresses of a family. They come in the order of their numbers, so that the
// order in which a lookup returns them doesn't matter.
type addressTurn struct {
	addresses []*address
	last      netip.Addr // whose turn was last
}

// An address is one of a host.
type address struct {
	netip.Addr
	avoidance
}

// find returns what is known of a host, after a lookup if need be. Others may change it, with the
// lock.
func (b *addressBook) find(ctx context.Context, name hostName, s *Slot) (*resolvedHost, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	h := b.names[name]
	if h == nil {
		h = &resolvedHost{}
		b.makeRoomLocked()
		b.names[name] = h
	}
	if time.Now().Before(h.expires) {
		return h, h.err
	}
	if h.lookup == nil {
		if !b.group.addRunningBefore(lifeClosing) {
			return h, ErrClosed
		}
		h.lookup = make(chan struct{})
		go b.lookUp(name, h, s)
	}
	done := h.lookup
	b.mu.Unlock()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	b.mu.Lock()
	if err == nil {
		err = h.err
	}
	return h, err
}

// makeRoomLocked forgets a host if there are too many.
func (b *addressBook) makeRoomLocked() {
	if len(b.names) < maxNames {
		return
	}
	for name, h := range b.names { // in random order
		if h.lookup == nil {
			delete(b.names, name)
			return
		}
	}
}

var errNoAnswer = errors.New("fanout: Rotation.Lookup has not returned")

// lookUp looks the name up, in a goroutine of its own.
func (b *addressBook) lookUp(name hostName, h *resolvedHost, s *Slot) {
	defer b.group.doneRunning()
	var found []netip.Addr
	err := errNoAnswer
	defer func() { b.answer(name.name, h, found, err) }()
	defer func() {
		if v := recover(); v != nil {
			err = s.recovered(v)
		}
	}()
	ctx, cancel := context.WithTimeout(b.group.dialCtx, websock.DefaultTimeout)
	defer cancel()
	switch {
	case b.rotation.Lookup != nil:
		found, err = b.rotation.Lookup(ctx, name.name)
	case name.resolver != nil:
		found, err = name.resolver.LookupNetIP(ctx, "ip", name.name)
	default:
		found, err = net.DefaultResolver.LookupNetIP(ctx, "ip", name.name)
	}
}

// answer notes what a lookup has found.
func (b *addressBook) answer(name string, h *resolvedHost, found []netip.Addr, err error) {
	found = usableAddresses(found)
	ttl := b.rotation.TTL
	if err == nil && len(found) == 0 {
		err = &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
	}
	if err != nil {
		found, err, ttl = nil, lookupError(name, err), ttl/5
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	h.err, h.expires = err, time.Now().Add(ttl)
	if len(found) > 0 {
		h.prefers = familyOf(found[0])
		for f := range h.families {
			h.families[f].setLocked(found, family(f))
		}
	}
	close(h.lookup)
	h.lookup = nil
}

// usableAddresses returns the addresses that can be dialed, without those that take too much memory.
func usableAddresses(found []netip.Addr) (usable []netip.Addr) {
	for _, a := range found[:min(len(found), maxAddresses)] {
		if a = a.Unmap(); a.IsValid() && !a.IsUnspecified() && !slices.Contains(usable, a) {
			usable = append(usable, a)
		}
	}
	return usable
}

// lookupError returns an error of a lookup as one of net.
func lookupError(name string, err error) error {
	if errors.As(err, new(*net.DNSError)) {
		return err
	}
	return &net.DNSError{
		Err:         err.Error(),
		UnwrapErr:   err,
		Name:        name,
		IsTimeout:   errors.Is(err, context.DeadlineExceeded),
		IsTemporary: true,
	}
}

// setLocked takes the addresses of a family from an answer. What is known of those that remain is
// kept.
func (t *addressTurn) setLocked(found []netip.Addr, f family) {
	known := map[netip.Addr]*address{}
	for _, a := range t.addresses {
		known[a.Addr] = a
	}
	now := map[netip.Addr]*address{}
	for _, a := range found {
		if familyOf(a) == f {
			now[a] = orDefault(known[a], &address{Addr: a})
		}
	}
	t.addresses = slices.SortedFunc(maps.Values(now), func(a, b *address) int { return a.Compare(b.Addr) })
	if !t.last.IsValid() && len(t.addresses) > 0 {
		t.last = t.addresses[rand.N(len(t.addresses))].Addr
	}
}

// nextLocked returns the addresses in the order in which an attempt is to try them: the one whose
// turn it is and those after it, and last those that are avoided, beginning with the one that has
// failed the longest time ago.
func (t *addressTurn) nextLocked(now time.Time) []netip.Addr {
	if len(t.addresses) == 0 {
		return nil
	}
	first, _ := slices.BinarySearchFunc(t.addresses, t.last, func(a *address, last netip.Addr) int {
		if a.Addr == last {
			return -1 // the one after it is the first
		}
		return a.Compare(last)
	})
	turn := slices.Concat(t.addresses[first:], t.addresses[:first])
	slices.SortStableFunc(turn, func(a, b *address) int {
		var failed [2]time.Time // of those to be avoided
		for i, of := range []*address{a, b} {
			if of.active(now) {
				failed[i] = of.failed
			}
		}
		return failed[0].Compare(failed[1])
	})
	turn[0].try(now, addressAvoidance)
	t.last = turn[0].Addr
	order := make([]netip.Addr, len(turn))
	for i, a := range turn {
		order[i] = a.Addr
	}
	return order
}

// avoidedLocked reports whether all addresses are avoided.
func (t *addressTurn) avoidedLocked(now time.Time) bool {
	return !slices.ContainsFunc(t.addresses, func(a *address) bool { return !a.active(now) })
}

// next returns the addresses of a host that one attempt is to try: first those of one family, and
// those of the other, if that doesn't succeed soon. local, unless it is nil, is the source address.
func (b *addressBook) next(h *resolvedHost, local net.IP) (first, second []netip.Addr) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	f := h.prefers
	other := families - 1 - f
	switch {
	case local != nil:
		f = familyIPv6
		if local.To4() != nil {
			f = familyIPv4
		}
		return h.families[f].nextLocked(now), nil
	case h.families[f].avoidedLocked(now) && !h.families[other].avoidedLocked(now):
		f, other = other, f
	}
	return h.families[f].nextLocked(now), h.families[other].nextLocked(now)
}

// note says whether a connection to an address has served.
func (b *addressBook) note(h *resolvedHost, at netip.Addr, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range h.families[familyOf(at)].addresses {
		switch {
		case a.Addr != at:
		case ok:
			a.succeed(time.Now())
		default:
			a.fail(time.Now(), addressAvoidance)
		}
	}
}
