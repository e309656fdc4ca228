//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"reflect"
	"sync"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/internal/socket"
)

// nextPoller returns the poller that netpoll would choose for its next connection, by its own load
// balancing and number of pollers. netpoll doesn't export that choice, but makes it for every
// connection. So nextPoller makes one, of a socket on which nothing can arrive, and closes it
// again. The poller is nil if this version of netpoll keeps it in another place.
func nextPoller() (netpoll.Poll, error) {
	fd, err := socket.OpenUnbound()
	if err != nil {
		return nil, err
	}
	probe, err := netpoll.NewFDConnection(fd)
	if err != nil {
		return nil, err // netpoll has closed the descriptor
	}
	defer probe.Close()
	return pollOf(probe), nil
}

// pollOf returns the poller of a connection.
func pollOf(conn netpoll.Connection) netpoll.Poll {
	operator := field[*netpoll.FDOperator](conn, "operator")
	if operator == nil || *operator == nil {
		return nil
	}
	poll := field[netpoll.Poll](*operator, "poll")
	if poll == nil {
		return nil
	}
	return *poll
}

// field returns the field of that name of the struct that of points to, exported or not, or nil if
// there is none of type T.
func field[T any](of any, name string) *T {
	v := reflect.ValueOf(of).Elem()
	if v.Kind() != reflect.Struct {
		return nil
	}
	f := v.FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return (*T)(f.Addr().UnsafePointer())
}

// A registration is that of a descriptor with its poller. It ends when what arrives is to be left
// with the system, or nothing more will arrive; a Conn may have one after another. netpoll uses
// its operators again, so only the registration tells whether a callback is out of date.
type registration struct {
	conn     *Conn
	operator *netpoll.FDOperator
}

// registerLocked has the poller call when there is something to read. The input's lock is held.
func (t *Conn) registerLocked() {
	r := &registration{conn: t, operator: t.poll.Alloc()}
	r.operator.FD, r.operator.OnRead, r.operator.OnHup = t.fd, r.onRead, r.onHup
	t.in.registration = r
	if err := t.poll.Control(r.operator, netpoll.PollReadable); err != nil {
		t.deregisterLocked()
		t.in.readErr = err
	}
}

// deregisterLocked ends the registration. The input's lock is held, for which the poller may wait
// in a callback. The operator can be freed only when that has returned.
func (t *Conn) deregisterLocked() {
	r := t.in.registration
	t.in.registration = nil
	r.operator.Control(netpoll.PollDetach)
	t.fdRefs.Add(1)
	ended.add(r)
}

// free frees the operator. Until then the descriptor stays open, so that its number isn't that of
// another connection: the poller may still use it.
func (r *registration) free() {
	r.conn.poll.Free(r.operator)
	r.conn.releaseFd()
}

// onRead is called by the poller as long as there is something to read.
func (r *registration) onRead(netpoll.Poll) error {
	r.conn.onReadable(r)
	return nil
}

// onHup is called, by a goroutine that may block, when the poller has found that the peer has
// ended the stream or that the connection broke. The poller has detached the descriptor.
func (r *registration) onHup(netpoll.Poll) error {
	if r.conn.onHangup(r) {
		r.conn.poll.Free(r.operator)
		r.conn.finishLinger()
	}
	return nil
}

// A reaper frees the operators of registrations that have ended. Since that may have to wait for a
// poller, it does so in a goroutine, which exists only while there are some.
type reaper struct {
	mu            sync.Mutex
	registrations []*registration
	running       bool
}

// ended frees the operators of all registrations of the process.
var ended reaper

func (p *reaper) add(r *registration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.registrations = append(p.registrations, r)
	if !p.running {
		p.running = true
		go p.run()
	}
}

func (p *reaper) run() {
	for registrations := p.take(); len(registrations) > 0; registrations = p.take() {
		for _, r := range registrations {
			r.free()
		}
	}
}

// take returns the registrations that were added. If there are none, the goroutine has to end.
func (p *reaper) take() []*registration {
	p.mu.Lock()
	defer p.mu.Unlock()
	registrations := p.registrations
	p.registrations = nil
	p.running = len(registrations) > 0
	return registrations
}
