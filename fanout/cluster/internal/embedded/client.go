package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	dialTimeout = 2 * time.Second

	// pingServer is how often a client looks whether its connection is alive. It takes two pings without
	// an answer for lost.
	pingServer = 2 * time.Second

	// redial is how long a client waits between attempts to reconnect.
	redial = 30 * time.Millisecond
)

// options are those of a client that reconnects for ever, to whatever connect leads to. While it has
// no connection, what it is to send isn't kept but refused, so that nothing is written late.
func options(connect nats.InProcessConnProvider, token string, more []nats.Option) []nats.Option {
	return append([]nats.Option{
		nats.InProcessServer(connect),
		nats.Token(token),
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(redial),
		nats.ReconnectJitter(redial, redial),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingServer),
		nats.MaxPingsOutstanding(2),
		nats.IgnoreAuthErrorAbort(), // another server may have got the port meanwhile
	}, more...)
}

// A dialer connects to the server of a directory, wherever that is now.
type dialer struct{ dir dir }

// InProcessConn connects to the server, which is in another process.
func (d dialer) InProcessConn() (net.Conn, error) {
	p, err := d.dir.place()
	if err != nil {
		return nil, err
	}
	if p.Address == "" {
		return nil, fmt.Errorf("the server of %s listens nowhere", d.dir)
	}
	return net.DialTimeout("tcp", p.Address, dialTimeout)
}

// ErrNoServer: no server runs in the directory.
var ErrNoServer = errors.New("embedded: no server runs in the directory")

// Connect connects to the server that another process runs in a directory. It doesn't start one, and
// doesn't compete for the lock. The connection goes over to the next server, as those of a Server do.
func Connect(directory string, more ...nats.Option) (*nats.Conn, error) {
	d := dir(directory)
	token, err := d.token()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%w: %w", ErrNoServer, err)
	case err != nil: // it is another user's, perhaps
		return nil, fmt.Errorf("embedded: %w", err)
	}
	nc, err := nats.Connect(nats.DefaultURL, options(dialer{d}, token, more)...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoServer, err)
	}
	return nc, nil
}
