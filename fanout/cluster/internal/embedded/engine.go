package embedded

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// ErrAddress: the server can't listen at its address, most likely because another program does.
var ErrAddress = errors.New("embedded: can't listen")

// stopTimeout bounds the end of a server.
const stopTimeout = 10 * time.Second

// A doorkeeper lets clients in that show the token of the directory, or the secret.
type doorkeeper struct{ token, secret string }

// Check lets a client in, or not.
func (d *doorkeeper) Check(c server.ClientAuthentication) bool {
	shown := c.GetOpts().Token
	is := func(right string) bool {
		return right != "" && subtle.ConstantTimeCompare([]byte(shown), []byte(right)) == 1
	}
	return is(d.token) || is(d.secret)
}

// An engine is a server that runs, with the lock of its directory.
type engine struct {
	*server.Server
	dir  dir
	lock *os.File
}

// startEngine starts the server of a directory. It has the lock from then on, which it gives back if
// it can't start.
func startEngine(ctx context.Context, c *Config, lock *os.File) (e *engine, err error) {
	d := dir(c.Dir)
	defer func() {
		if err != nil {
			lock.Close()
		}
	}()
	d.removePlace() // of a server that had no time to do so
	token, err := d.readOrMake(tokenName, "")
	if err != nil {
		return nil, err
	}
	name, err := d.readOrMake(nameName, c.Name+"-")
	if err != nil {
		return nil, err
	}
	for _, address := range []string{c.Listen, c.ClusterListen} {
		if err := canListen(address); err != nil {
			return nil, err
		}
	}
	s, err := server.NewServer(c.options(name, token))
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	if err := run(ctx, s, newServerLog(c.Logger)); err != nil {
		return nil, errors.Join(err, stop(s))
	}
	e = &engine{s, d, lock}
	if err := d.setPlace(e.place(c)); err != nil {
		return nil, errors.Join(err, stop(s))
	}
	return e, nil
}

// canListen tells of an address that is in use before the server does: its own error has no type.
func canListen(address string) error {
	if address == "" {
		return nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrAddress, err)
	}
	return l.Close()
}

// run starts a server and waits until it is ready.
func run(ctx context.Context, s *server.Server, log *serverLog) error {
	s.SetLoggerV2(log, false, false, false)
	started := make(chan struct{})
	go func() {
		s.Start()
		close(started)
	}()
	const look = 30 * time.Millisecond
	for {
		select {
		case <-started:
			if s.ReadyForConnections(look) {
				return nil
			}
		case <-time.After(look):
		}
		select {
		case err := <-log.fatal:
			return fmt.Errorf("embedded: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("embedded: the server doesn't start: %w", context.Cause(ctx))
		default:
		}
	}
}

// stop ends a server, and waits until it has ended.
func stop(s *server.Server) error {
	ended := make(chan struct{})
	go func() {
		s.Shutdown()
		s.WaitForShutdown()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-time.After(stopTimeout):
		return errors.New("embedded: the server doesn't end")
	}
}

// place returns where the server can be reached from this machine.
func (e *engine) place(c *Config) place {
	p := place{Mode: c.mode(), Process: os.Getpid()}
	if address, ok := e.Addr().(*net.TCPAddr); ok && c.Listen != "" {
		host := address.IP
		if host.IsUnspecified() {
			host = net.IPv4(127, 0, 0, 1)
		}
		p.Address = net.JoinHostPort(host.String(), fmt.Sprint(address.Port))
	}
	return p
}

// stop ends the server, and then gives back the lock.
func (e *engine) stop() error {
	e.dir.removePlace()
	err := stop(e.Server)
	return errors.Join(err, e.lock.Close())
}
