// Package subprocess runs a process for a WebSocket connection: messages are its standard input, and what it
// writes to standard output are messages.
package subprocess

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed004e8d11/websock"
)

// Options are the settings of a command.
type Options struct {
	Args    []string      // the program and its arguments
	Binary  bool          // bytes as they come in binary messages; otherwise lines in text messages
	MaxLine int           // bytes of the longest line that is sent
	Timeout time.Duration // how long the client, or the process, may take no bytes; 0: any time
	Grace   time.Duration // how long the process may run after the end of its input, and then after SIGTERM
	Stderr  io.Writer     // gets the lines of standard error
}

// Serve runs the command for a connection, until that, the process or ctx ends. When it returns, the
// connection is closed and the process has ended, as have those of its process group on Unix.
func (o *Options) Serve(ctx context.Context, conn *websock.Conn, r *http.Request) {
	s := &session{Options: o, conn: conn, log: newLog(o.Stderr, conn.RemoteAddr().String())}
	if err := s.start(r); err != nil {
		s.log.note(err)
		conn.CloseWith(websock.CloseInternalError, "the command can't be started")
		return
	}
	defer context.AfterFunc(ctx, s.end)() // receive may be waiting for the process
	received := make(chan struct{})
	go func() {
		defer close(received)
		s.receive()
		s.end()
	}()
	s.run(ctx)
	<-received
}

// A session is a connection and its process.
type session struct {
	*Options
	conn *websock.Conn
	log  *lineLog

	process        process
	stdin          *os.File // the writing end
	stdout, stderr *os.File // the reading ends
	copying        sync.WaitGroup

	notReading atomic.Bool // the process has not read its input for Timeout
	ending     sync.Once

	mu     sync.Mutex // held while the process is signaled
	timers []*time.Timer
	reaped bool // its number may be that of another process
}

// start starts the process. Its ends of the pipes belong to it alone, so that each pipe ends with it.
func (s *session) start(r *http.Request) (err error) {
	cmd := exec.Command(s.Args[0], s.Args[1:]...)
	cmd.Env = environ(os.Environ(), r, s.conn.Subprotocol())
	var theirs [3]*os.File
	defer func() {
		for _, file := range theirs {
			file.Close()
		}
		if err != nil {
			s.closePipes()
		}
	}()
	if theirs[0], s.stdin, err = os.Pipe(); err != nil {
		return err
	}
	if s.stdout, theirs[1], err = os.Pipe(); err != nil {
		return err
	}
	if s.stderr, theirs[2], err = os.Pipe(); err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs[0], theirs[1], theirs[2]
	s.process.cmd = cmd
	return s.process.start()
}

func (s *session) closePipes() {
	for _, file := range []*os.File{s.stdin, s.stdout, s.stderr} {
		file.Close() // nil is an error that doesn't matter
	}
}

// run sends what the process writes until it has ended, and then closes the connection.
func (s *session) run(ctx context.Context) {
	s.copying.Go(s.copyOutput)
	s.copying.Go(func() { s.log.copyLines(s.stderr) })
	s.process.awaitExit()
	s.awaitOutput()
	s.signal(kill) // what it has left behind
	exit := s.reap()
	s.closePipes()
	s.closeConn(ctx, exit)
}

// copyOutput sends what the process writes. If that fails, the process ends, as the connection does.
func (s *session) copyOutput() {
	err := s.send()
	s.stdout.Close() // the process gets an error when it writes more
	var invalid *outputError
	if errors.As(err, &invalid) {
		s.log.note(invalid)
		s.conn.CloseWith(websock.CloseInternalError, invalid.Error())
	}
	if err != nil {
		s.end()
	}
}

// awaitOutput waits until all that the process has written is sent. Processes that it has left behind may
// hold its output open: after Grace they are killed. What is in none of its group can only be left alone.
func (s *session) awaitOutput() {
	const limit = 30 * time.Second // for a client that reads slowly
	defer time.AfterFunc(s.Grace, func() { s.signal(kill) }).Stop()
	defer time.AfterFunc(s.Grace+limit, func() {
		s.stdout.Close()
		s.stderr.Close()
	}).Stop()
	s.copying.Wait()
}

// closeConn closes the connection with a code for how the process has ended. After ctx has ended, the process
// did so because of that.
func (s *session) closeConn(ctx context.Context, exit error) {
	switch {
	case ctx.Err() != nil:
		s.conn.CloseWith(websock.CloseGoingAway, "")
	case s.notReading.Load():
		s.closeNotReading()
	case exit != nil && s.conn.Err() == nil: // it has ended by itself
		s.log.note(exit)
		s.conn.CloseWith(websock.CloseInternalError, exit.Error())
	default:
		s.conn.CloseWith(websock.CloseNormal, "")
	}
}

// receive writes messages to standard input until the connection ends. It writes none in part: the process
// might take the beginning of a line for all of it.
func (s *session) receive() {
	var msg []byte
	open := true
	for {
		var err error
		if _, msg, err = s.conn.RecvMessage(msg[:0]); err != nil {
			return
		}
		if !s.Binary {
			msg = append(msg, '\n')
		}
		if open {
			open = s.write(msg)
		}
	}
}

// write writes to standard input. It returns false if the process has closed it; then it wants no messages.
func (s *session) write(p []byte) bool {
	if s.Timeout > 0 {
		defer time.AfterFunc(s.Timeout, func() {
			s.notReading.Store(true)
			s.end()
		}).Stop()
	}
	_, err := s.stdin.Write(p)
	if s.notReading.Load() {
		s.closeNotReading()
	}
	return err == nil
}

var errNotReading = errors.New("the command does not read its input")

func (s *session) closeNotReading() {
	s.conn.CloseWith(websock.CloseTryAgainLater, errNotReading.Error())
}

// end ends the process: it closes its input, and signals it if it takes too long.
func (s *session) end() {
	s.ending.Do(func() {
		s.mu.Lock()
		for i, sig := range []signal{terminate, kill} {
			s.timers = append(s.timers, time.AfterFunc(time.Duration(i+1)*s.Grace, func() { s.signal(sig) }))
		}
		s.mu.Unlock()
		s.stdin.Close()
	})
}

// signal signals the process and its group.
func (s *session) signal(sig signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.reaped {
		s.process.signal(sig)
	}
}

// reap returns how the process has ended. No signal is sent after that.
func (s *session) reap() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reaped = true
	for _, t := range s.timers {
		t.Stop()
	}
	return s.process.reap()
}

// An outputError is output that can't be a message.
type outputError struct{ reason string }

func (e *outputError) Error() string { return e.reason }
