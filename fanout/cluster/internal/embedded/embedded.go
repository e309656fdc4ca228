package embedded

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrInUse: another process has the lock of the directory, and doesn't share it.
var ErrInUse = errors.New("embedded: the directory is in use")

// errClosed is what a Server that was closed returns.
var errClosed = errors.New("embedded: closed")

const (
	// compete is how often a process tries to get the lock of a shared directory.
	compete = 50 * time.Millisecond

	// retryStart is how long a process leaves the lock to others after it could not start the server.
	retryStart = time.Second

	// startTimeout bounds a start of which nobody waits for the end.
	startTimeout = time.Minute
)

// A Server is a nats-server with JetStream: in this process, or, if the directory is shared, in that
// process of the machine which has its lock. Its methods may be called from any goroutine.
type Server struct {
	config Config
	dir    dir
	token  string
	cancel context.CancelFunc
	done   chan struct{} // closed when nothing competes for the lock any more

	mu     sync.Mutex
	engine *engine // nil while the server runs in another process
	closed bool
}

// Start starts a server, or finds the one that another process runs. It waits until clients can
// connect, or ctx ends. (Peers can't use JetStream before most of them are there: see store.Open.)
// The end of ctx doesn't end the server.
func Start(ctx context.Context, c Config) (*Server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Server{config: c, dir: dir(c.Dir), done: make(chan struct{})}
	if err := s.dir.make(); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	var err error
	if c.mode() == shared {
		err = s.join(ctx)
	} else {
		err = s.runOnly(ctx)
	}
	if err != nil {
		return nil, err
	}
	if s.token, err = s.dir.token(); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: %w", err), s.stopEngine())
	}
	competing, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	if c.mode() == shared {
		go s.compete(competing)
	} else {
		close(s.done)
	}
	return s, nil
}

// runOnly starts the server of a directory that isn't shared.
func (s *Server) runOnly(ctx context.Context) error {
	locked, err := s.tryToRun(ctx)
	if err == nil && !locked {
		err = s.inUse()
	}
	return err
}

// inUse names the process that has the lock.
func (s *Server) inUse() error {
	p, err := s.dir.place()
	if err != nil {
		return fmt.Errorf("%w: %s", ErrInUse, s.dir)
	}
	return fmt.Errorf("%w: %s, by process %d (%s)", ErrInUse, s.dir, p.Process, p.Mode)
}

// tryToRun starts the server in this process, unless another one has the lock.
func (s *Server) tryToRun(ctx context.Context) (locked bool, err error) {
	lock, locked, err := s.dir.lock()
	if err != nil || !locked {
		return false, err
	}
	e, err := startEngine(ctx, &s.config, lock)
	if err != nil {
		return true, err
	}
	s.mu.Lock()
	s.engine = e
	s.mu.Unlock()
	return true, nil
}

// join starts the server of a shared directory, or waits for that of another process.
func (s *Server) join(ctx context.Context) error {
	for attempt := 0; ; attempt++ {
		locked, err := s.tryToRun(ctx)
		if locked || err != nil {
			return err
		}
		// Who has got the lock just now may find the place of a server that is gone.
		place, err := s.dir.place()
		if err == nil && place.Mode != shared && attempt > 0 {
			return s.inUse()
		}
		if err = s.look(); err == nil {
			return nil
		}
		select {
		case <-time.After(compete):
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", s.inUse(), errors.Join(context.Cause(ctx), err))
		}
	}
}

// look looks whether the server of another process lets this one in.
func (s *Server) look() error {
	nc, err := Connect(s.config.Dir, nats.NoReconnect())
	if err == nil {
		nc.Close()
	}
	return err
}

// compete tries to get the lock of a shared directory, until this process runs the server.
func (s *Server) compete(ctx context.Context) {
	defer close(s.done)
	failure := ""
	for {
		wait := compete
		starting, cancel := context.WithTimeout(ctx, startTimeout)
		locked, err := s.tryToRun(starting)
		cancel()
		switch {
		case err != nil && ctx.Err() == nil:
			if text := err.Error(); text != failure {
				failure = text
				s.config.Logger.Warn("the NATS server of the machine can't be started", "dir", s.config.Dir, "error", err)
			}
			wait = retryStart
		case locked:
			s.config.Logger.Info("this process runs the NATS server of the machine", "dir", s.config.Dir, "url", s.URL())
			return
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return
		}
	}
}

// InProcessConn connects to the server, in memory if it runs in this process. It serves nats.Connect:
// see Options.
func (s *Server) InProcessConn() (net.Conn, error) {
	s.mu.Lock()
	e, closed := s.engine, s.closed
	s.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case e != nil:
		return e.InProcessConn()
	}
	return dialer{s.dir}.InProcessConn()
}

// Connect connects to the server. The connection is made anew when it is lost, for ever, to whichever
// process runs the server then. Close it before the Server.
func (s *Server) Connect(more ...nats.Option) (*nats.Conn, error) {
	return nats.Connect(nats.DefaultURL, s.Options(more...)...)
}

// Options are those with which Connect connects, and more of them. The URL given with them to
// nats.Connect doesn't matter.
func (s *Server) Options(more ...nats.Option) []nats.Option { return options(s, s.token, more) }

// URL returns where other programs of this machine find the server now, without the token that they
// need; "nats://" if there is no port.
func (s *Server) URL() string {
	p, err := s.dir.place()
	if err != nil || p.Address == "" {
		return "nats://"
	}
	return "nats://" + p.Address
}

// Running reports whether the server runs in this process.
func (s *Server) Running() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine != nil
}

// Replicas returns how many copies of data the servers can keep: as many as there are peers, at most
// three.
func (s *Server) Replicas() int { return max(1, min(3, len(s.config.Peers))) }

// Close ends the server, if it runs in this process, and the competition for the lock. If another
// process shares the directory, it starts the server then. Close waits for the end, for 10 seconds.
func (s *Server) Close() error {
	s.cancel()
	<-s.done
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.stopEngine()
}

func (s *Server) stopEngine() error {
	s.mu.Lock()
	e := s.engine
	s.engine = nil
	s.mu.Unlock()
	if e == nil {
		return nil
	}
	return e.stop()
}
