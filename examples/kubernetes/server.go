package main

import (
	"context"
	"crypto/subtle"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/seed004e8d11/websock"
)

// The limits of a server.
const (
	maxConnections = 100
	maxPorts       = 16 // of one connection
)

// A server runs commands and connects to ports of this machine, in place of those of a pod.
type server struct {
	mux     http.ServeMux
	options websock.AcceptOptions
	room    chan struct{} // has an element for each connection

	// run runs a command until it or ctx ends. A *exec.ExitError has its exit code.
	run func(ctx context.Context, command []string, s streams) error
}

// newServer returns a server for those who have the token.
func newServer(token string) *server {
	s := &server{run: runHere, room: make(chan struct{}, maxConnections)}
	s.options = websock.AcceptOptions{
		Subprotocols: []string{protocolV5, protocolV4},
		KeepAlive:    keepAlive,
		CheckRequest: func(r *http.Request) error {
			given := []byte(r.Header.Get("Authorization"))
			if subtle.ConstantTimeCompare(given, []byte("Bearer "+token)) != 1 {
				return &websock.HandshakeError{Reason: "a token is needed", Status: http.StatusUnauthorized}
			}
			return nil
		},
	}
	s.mux.HandleFunc("/api/v1/namespaces/{namespace}/pods/{pod}/exec", s.exec)
	s.mux.HandleFunc("/api/v1/namespaces/{namespace}/pods/{pod}/portforward", s.portForward)
	return s
}

// ServeHTTP serves a request, and returns when its connection has ended.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
		s.mux.ServeHTTP(w, r)
	default:
		http.Error(w, "too many connections", http.StatusServiceUnavailable)
	}
}

// accept accepts a connection with one of the protocols; false: it has answered the request otherwise.
func (s *server) accept(w http.ResponseWriter, r *http.Request) (channels, bool) {
	conn, err := websock.Accept(w, r, &s.options)
	if err != nil {
		log.Print(err)
		return channels{}, false
	}
	if conn.Subprotocol() == "" {
		conn.CloseWith(websock.ClosePolicyViolation, "offer "+protocolV5+" or "+protocolV4)
		return channels{}, false
	}
	return channels{conn}, true
}

// exec runs the command of a request. When the client is gone, the command is killed.
func (s *server) exec(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if !query.Has("command") {
		http.Error(w, "which command?", http.StatusBadRequest)
		return
	}
	c, ok := s.accept(w, r)
	if !ok {
		return
	}
	defer c.conn.Close()
	if err := s.execOn(c, query["command"], query.Get); err != nil {
		log.Print(err)
	}
}

func (s *server) execOn(c channels, command []string, option func(name string) string) error {
	stdin, sink, err := os.Pipe() // a file, so that the command does not wait for who copies into it
	if err != nil {
		return err
	}
	sizes := &sizeSink{sizes: make(chan size, 1)}
	sinks := map[byte]io.WriteCloser{resizeChannel: sizes}
	its := streams{resizes: sizes.sizes}
	if option("stdin") == "true" {
		its.stdin = stdin
		sinks[stdinChannel] = sink
	}
	for number, name := range map[byte]string{stdoutChannel: "stdout", stderrChannel: "stderr"} {
		if option(name) != "true" {
			continue
		}
		out := c.writer(number)
		out.Write(nil) // as Kubernetes does: the client knows that the command is about to start
		if number == stdoutChannel {
			its.stdout = out
		} else {
			its.stderr = out
		}
	}

	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var receiving sync.WaitGroup
	receiving.Go(func() { cancel(c.receive(sinks)) })
	result, err := json.Marshal(statusOf(s.run(ctx, command, its)))
	stdin.Close() // a write to sink ends
	if err == nil {
		_, err = c.writer(errorChannel).Write(result)
	}
	c.conn.Close() // ends receive
	receiving.Wait()
	sink.Close()
	return err
}

func statusOf(err error) status {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return exited(0)
	case errors.As(err, &exit) && exit.ExitCode() > 0:
		return exited(exit.ExitCode())
	default:
		return status{Status: "Failure", Reason: "InternalError", Message: err.Error()}
	}
}

// runHere runs a command on this machine. It has no terminal to resize.
func runHere(ctx context.Context, command []string, s streams) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.stdin, s.stdout, s.stderr
	cmd.WaitDelay = 5 * time.Second // for children of the command that keep its streams
	return cmd.Run()
}

// sizeSink gets the sizes of a terminal. Only the latest one that was not taken is kept.
type sizeSink struct{ sizes chan size }

func (s *sizeSink) Write(p []byte) (int, error) {
	var latest size
	if json.Unmarshal(p, &latest) == nil {
		select {
		case <-s.sizes:
		default:
		}
		s.sizes <- latest // this goroutine alone sends
	}
	return len(p), nil
}

func (s *sizeSink) Close() error { return nil }

// portForward connects to the ports of a request, and carries them until all have ended.
func (s *server) portForward(w http.ResponseWriter, r *http.Request) {
	ports, err := parsePorts(r.URL.Query()["ports"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, ok := s.accept(w, r)
	if !ok {
		return
	}
	defer c.conn.Close()
	sinks := map[byte]io.WriteCloser{}
	var connections []net.Conn
	var carrying sync.WaitGroup
	for i, port := range ports {
		data, problem := c.writer(byte(2*i+dataOfPort)), c.writer(byte(2*i+errorOfPort))
		for _, channel := range []io.Writer{data, problem} {
			channel.Write(binary.LittleEndian.AppendUint16(nil, port))
		}
		tcp, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))), 10*time.Second)
		if err != nil {
			fmt.Fprintf(problem, "port %d: %v", port, err)
			continue
		}
		defer tcp.Close()
		connections = append(connections, tcp)
		sink := &endingSink{tcpSink: tcpSink{tcp.(*net.TCPConn)}, ended: make(chan struct{})}
		sinks[byte(2*i+dataOfPort)] = sink
		carrying.Go(func() {
			io.Copy(data, tcp)
			if data.Close() == nil { // otherwise the end of this direction is that of both
				<-sink.ended
			}
		})
	}
	var receiving sync.WaitGroup
	receiving.Go(func() {
		c.receive(sinks)
		for _, tcp := range connections {
			tcp.SetReadDeadline(time.Now()) // ends carrying
		}
	})
	carrying.Wait()
	c.conn.Close() // ends receive
	receiving.Wait()
}

// endingSink tells when the client's direction has ended.
type endingSink struct {
	tcpSink
	once  sync.Once
	ended chan struct{}
}

func (s *endingSink) Close() error {
	s.once.Do(func() { close(s.ended) })
	return s.tcpSink.Close()
}

// parsePorts returns the ports of a request, which may be separated by commas.
func parsePorts(values []string) (ports []uint16, err error) {
	for _, text := range strings.Split(strings.Join(values, ","), ",") {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 {
			return nil, fmt.Errorf("%q is not a port", text)
		}
		ports = append(ports, uint16(port))
	}
	if len(ports) > maxPorts {
		return nil, fmt.Errorf("%d ports instead of %d at most", len(ports), maxPorts)
	}
	return ports, nil
}
