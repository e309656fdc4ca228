package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/seed004e8d11/websock"
)

// The channels of exec.
const (
	stdinChannel  = 0
	stdoutChannel = 1
	stderrChannel = 2
	errorChannel  = 3 // a status, as JSON, when the command has ended
	resizeChannel = 4 // sizes of the terminal, as JSON
)

// maxStatus bounds a status in bytes.
const maxStatus = 64 << 10

// A status says how a command has ended. It is a part of Kubernetes' metav1.Status.
type status struct {
	Status  string   `json:"status"` // Success or Failure
	Message string   `json:"message,omitempty"`
	Reason  string   `json:"reason,omitempty"`
	Details *details `json:"details,omitempty"`
}

type details struct {
	Causes []cause `json:"causes"`
}

type cause struct {
	Reason  string `json:"reason"` // ExitCode
	Message string `json:"message"`
}

// exited returns the status of a command that has ended with an exit code.
func exited(code int) status {
	if code == 0 {
		return status{Status: "Success"}
	}
	return status{
		Status:  "Failure",
		Message: fmt.Sprintf("command terminated with exit code %d", code),
		Reason:  "NonZeroExitCode",
		Details: &details{[]cause{{"ExitCode", strconv.Itoa(code)}}},
	}
}

// exitCode returns the exit code in a status, or an error if the command was not run to its end.
func (s status) exitCode() (int, error) {
	if s.Status == "Success" {
		return 0, nil
	}
	if s.Reason == "NonZeroExitCode" && s.Details != nil {
		for _, c := range s.Details.Causes {
			if c.Reason == "ExitCode" {
				return strconv.Atoi(c.Message)
			}
		}
	}
	return 0, fmt.Errorf("the server answers %s: %s", s.Reason, s.Message)
}

// A size is that of a terminal, in characters.
type size struct{ Width, Height uint16 }

// streams are those of a command. Each may be nil.
type streams struct {
	stdin          io.Reader
	stdout, stderr io.Writer
	resizes        <-chan size // with them the command gets a terminal
}

// A pod is where commands run and ports are.
type pod struct {
	url   string // such as wss://cluster.example/api/v1/namespaces/default/pods/web
	token string
}

// dial opens a connection for exec or portforward.
func (p pod) dial(ctx context.Context, what string, query url.Values) (channels, error) {
	conn, err := websock.Dial(ctx, p.url+"/"+what+"?"+query.Encode(), &websock.Config{
		Header:       http.Header{"Authorization": {"Bearer " + p.token}},
		Subprotocols: []string{protocolV5, protocolV4},
		KeepAlive:    keepAlive,
	})
	if err != nil {
		return channels{}, err
	}
	if conn.Subprotocol() == "" {
		conn.Close()
		return channels{}, errors.New("the server knows none of our protocols")
	}
	return channels{conn}, nil
}

// exec runs a command and returns its exit code. The end of ctx ends the connection, and so the command.
//
// The goroutine that reads stdin ends when a Read there returns. If the server speaks only v4, it is not
// told of the end of stdin, and a command that reads that to its end waits for more.
func (p pod) exec(ctx context.Context, command []string, s streams) (code int, err error) {
	query := url.Values{"command": command}
	for name, wanted := range map[string]bool{
		"stdin": s.stdin != nil, "stdout": s.stdout != nil, "stderr": s.stderr != nil, "tty": s.resizes != nil,
	} {
		query.Set(name, strconv.FormatBool(wanted))
	}
	c, err := p.dial(ctx, "exec", query)
	if err != nil {
		return 0, err
	}
	defer c.conn.Close()
	defer context.AfterFunc(ctx, func() { c.conn.Abort(context.Cause(ctx)) })()
	if s.stdin != nil {
		go func() {
			stdin := c.writer(stdinChannel)
			io.Copy(stdin, s.stdin)
			stdin.Close()
		}()
	}
	ended := make(chan struct{})
	defer close(ended)
	go c.sendSizes(s.resizes, ended)

	result := &limitedBuffer{room: maxStatus}
	sinks := map[byte]io.WriteCloser{errorChannel: result}
	if s.stdout != nil {
		sinks[stdoutChannel] = nopCloser{s.stdout}
	}
	if s.stderr != nil {
		sinks[stderrChannel] = nopCloser{s.stderr}
	}
	if err := c.receive(sinks); err != nil {
		return 0, err
	}
	var how status
	if err := json.Unmarshal(result.Bytes(), &how); err != nil {
		return 0, fmt.Errorf("the server has not said how the command has ended: %w", err)
	}
	return how.exitCode()
}

func (c channels) sendSizes(sizes <-chan size, ended <-chan struct{}) {
	for {
		select {
		case size, more := <-sizes:
			if !more {
				return
			}
			text, _ := json.Marshal(size)
			c.writer(resizeChannel).Write(text)
		case <-ended:
			return
		}
	}
}

// limitedBuffer keeps the first bytes written to it.
type limitedBuffer struct {
	bytes.Buffer
	room int
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	b.Buffer.Write(p[:min(len(p), b.room-b.Len())])
	return len(p), nil
}

func (b *limitedBuffer) Close() error { return nil }
