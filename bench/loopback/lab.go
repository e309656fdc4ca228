//go:build linux

package loopback

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock/bench/server"
)

// messageSize is the default size of payloads in bytes.
const messageSize = 128

// A Lab has a server that one client after another connects to. Servers that are compared it starts one
// after another.
type Lab struct {
	server    *process
	addresses server.Addresses
	shared    server.Addresses // for connections that WebSockets share
	clientCPU int
	serverCPU int
	runs      int

	// Profiles is a directory for CPU profiles of the clients; "": none.
	Profiles string
}

// Timing is how long to warm up and to measure.
type Timing struct{ Warmup, Window time.Duration }

// Open starts the server. If pinned, it and each client have a processor of their own; else all use all
// processors.
func Open(pinned bool) (*Lab, error) {
	clientCPU, serverCPU, err := processors()
	if err != nil {
		return nil, err
	}
	if !pinned {
		clientCPU, serverCPU = -1, -1
	}
	if err := raiseDescriptors(); err != nil {
		return nil, err
	}
	const limit = 24 * time.Hour
	p, err := start("server", serverCPU, limit)
	if err != nil {
		return nil, err
	}
	l := &Lab{server: p, clientCPU: clientCPU, serverCPU: serverCPU}
	if err := p.ask(messageSize, &l.addresses); err != nil {
		return nil, fmt.Errorf("server: %w", err)
	}
	if err := p.answers.Decode(&l.shared); err != nil {
		return nil, p.failure(err)
	}
	return l, nil
}

// Close stops the server.
func (l *Lab) Close() { l.server.end() }

// Run runs a case.
func (l *Lab) Run(contestant Contestant, c Case, t Timing) (Result, error) {
	if err := c.checkDescriptors(); err != nil {
		return Result{}, err
	}
	t = contestant.warmed(t, 1)
	if c.Server {
		return l.runServer(contestant, c, t)
	}
	_, name := splitProgram(contestant.Name)
	return l.play(contestant, l.task(name, c, t))
}

// play runs a task in a client's process.
func (l *Lab) play(contestant Contestant, t task) (Result, error) {
	p, err := l.startPlayer(contestant, t)
	if err != nil {
		return Result{}, err
	}
	defer p.end()
	return p.play(t)
}

// A player is the process of a client.
type player interface {
	play(task) (Result, error)
	pid() int
	signal(unix.Signal)
	end() // stops it, and waits for its end
}

// startPlayer starts the client of a case. If servers are compared, it is part of this program.
func (l *Lab) startPlayer(contestant Contestant, t task) (player, error) {
	const patience = 5 * time.Second // the client's own limit has a better error
	limit := t.Limit + patience
	if t.Case.Kind == Broadcast && !t.Case.Server && contestant.command == nil {
		var err error
		if contestant, err = outsideContestant(contestant); err != nil {
			return nil, err
		}
	}
	if contestant.command != nil && !t.Case.Server {
		p, err := startProgram(contestant, t, l.clientCPU, limit)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
	executable := ""
	if !t.Case.Server {
		executable, _ = splitProgram(contestant.Name)
	}
	p, err := startExecutable(executable, "client", l.clientCPU, limit)
	if err != nil {
		return nil, err
	}
	return p, nil
}

// play runs a task in the process of a client.
func (p *process) play(t task) (r Result, err error) {
	if err := p.ask(t, &r); err != nil {
		return Result{}, err
	}
	if r.LeftOut {
		return Result{}, fmt.Errorf("%w%s", ErrLeftOut, strings.TrimPrefix(r.Error, ErrLeftOut.Error()))
	}
	if r.Error != "" {
		return Result{}, errors.New(r.Error)
	}
	return r, nil
}

func (l *Lab) task(contestant string, c Case, timing Timing) task {
	l.runs++
	addresses := l.addresses
	if c.Shared > 0 {
		addresses = l.shared
	}
	address := addresses.Secure
	if !c.Secure {
		address = addresses.Plain[l.runs%len(addresses.Plain)]
	}
	t := task{
		Contestant:  contestant,
		Case:        c,
		Timing:      timing,
		Limit:       timeLimit(c, timing),
		Address:     address,
		Certificate: addresses.Certificate,
		Size:        cmp.Or(c.Size, messageSize),
	}
	if l.Profiles != "" {
		name := strings.ReplaceAll(c.String(), "/", "-") + "-" + contestant + ".pprof"
		t.Profile = filepath.Join(l.Profiles, name)
	}
	return t
}

// timeLimit returns a limit for the time of a run, which is generous: a JVM needs seconds to begin, and many of
// them beside other work.
func timeLimit(c Case, t Timing) time.Duration {
	const each = 10 * time.Millisecond // to open a connection and receive a message
	return time.Minute + 5*(t.Warmup+t.Window) + time.Duration(c.Conns)*each
}

// serve runs the server in its process.
func serve(tasks *json.Decoder, answers *json.Encoder) error {
	var size int
	if err := tasks.Decode(&size); err != nil {
		return err
	}
	s, err := server.Listen(size)
	if err != nil {
		return err
	}
	shared, err := server.ListenShared(size)
	if err != nil {
		return err
	}
	for _, addresses := range []server.Addresses{s.Addresses(), shared.Addresses()} {
		if err := answers.Encode(addresses); err != nil {
			return err
		}
	}
	failed := make(chan error, 1)
	go func() { failed <- s.Serve() }()
	go func() { failed <- shared.Serve() }()
	return <-failed
}
