package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock"
)

func TestOutputAndExitCodeOfACommand(t *testing.T) {
	for _, protocol := range []string{protocolV5, protocolV4} {
		p, _ := newPod(t, protocol)
		var stdout, stderr strings.Builder
		for _, code := range []int{0, 1, 7, 255} {
			stdout.Reset()
			stderr.Reset()
			command := []string{"sh", "-c", fmt.Sprintf("echo out; echo err >&2; exit %d", code)}
			got, err := p.exec(within(t), command, streams{stdout: &stdout, stderr: &stderr})
			if got != code || err != nil || stdout.String() != "out\n" || stderr.String() != "err\n" {
				t.Errorf("%s: %d, %v, %q, %q", protocol, got, err, &stdout, &stderr)
			}
		}
		if _, err := p.exec(within(t), []string{"/no/such/command"}, streams{}); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%s: %v", protocol, err)
		}
	}
}

func TestCommandReadsItsInputToTheEnd(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	large := make([]byte, 3<<20+1)
	rand.Read(large)
	var stdout bytes.Buffer
	code, err := p.exec(within(t), []string{"cat"}, streams{stdin: bytes.NewReader(large), stdout: &stdout})
	if code != 0 || err != nil || !bytes.Equal(stdout.Bytes(), large) {
		t.Errorf("%d, %v, %d bytes", code, err, stdout.Len())
	}
}

// With v4 the end of the input can't be sent, but a command that does not wait for it works.
func TestCommandReadsALineOfItsInput(t *testing.T) {
	p, _ := newPod(t, protocolV4)
	var stdout strings.Builder
	code, err := p.exec(within(t), []string{"head", "-n1"}, streams{stdin: strings.NewReader("a\nb\n"), stdout: &stdout})
	if code != 0 || err != nil || stdout.String() != "a\n" {
		t.Errorf("%d, %v, %q", code, err, &stdout)
	}
}

func TestCommandThatReadsNoInputEnds(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	code, err := p.exec(within(t), []string{"true"}, streams{stdin: bytes.NewReader(make([]byte, 1<<20))})
	if code != 0 || err != nil {
		t.Errorf("%d, %v", code, err)
	}
}

func TestCommandIsKilledWhenTheClientIsGone(t *testing.T) {
	p, s := newPod(t, protocolV5)
	killed := make(chan error, 1)
	s.run = func(ctx context.Context, command []string, its streams) error {
		err := runHere(ctx, command, its)
		killed <- err
		return err
	}
	ctx, cancel := context.WithCancelCause(within(t))
	running := writerFunc(func([]byte) { cancel(io.ErrClosedPipe) })
	if _, err := p.exec(ctx, []string{"sh", "-c", "echo running; exec sleep 600"}, streams{stdout: running}); !errors.Is(err, io.ErrClosedPipe) {
		t.Error(err)
	}
	if err := <-killed; err == nil {
		t.Error("the command ended by itself")
	}
}

func TestCommandIsToldOfSizes(t *testing.T) {
	p, s := newPod(t, protocolV5)
	sizes := make(chan size)
	s.run = func(ctx context.Context, _ []string, its streams) error {
		for want := range uint16(3) {
			if got := <-its.resizes; got != (size{want, 24}) {
				return fmt.Errorf("size %v", got)
			}
			fmt.Fprintln(its.stdout, want) // the next one may come
		}
		return nil
	}
	next := uint16(1)
	go func() { sizes <- size{0, 24} }()
	stdout := writerFunc(func(p []byte) {
		if next < 3 {
			sizes <- size{next, 24}
			next++
		}
	})
	if code, err := p.exec(within(t), []string{"top"}, streams{stdout: stdout, resizes: sizes}); code != 0 || err != nil {
		t.Error(code, err)
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestOnlyWhoHasTheTokenIsServed(t *testing.T) {
	p, _ := newPod(t, protocolV5)
	p.token = "guessed"
	_, err := p.exec(within(t), []string{"true"}, streams{})
	var refused *websock.HandshakeError
	if !errors.As(err, &refused) || refused.Status != http.StatusUnauthorized {
		t.Error(err)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	p, s := newPod(t, protocolV5)
	for range maxConnections {
		s.room <- struct{}{}
	}
	_, err := p.exec(within(t), []string{"true"}, streams{})
	var refused *websock.HandshakeError
	if !errors.As(err, &refused) || refused.Status != http.StatusServiceUnavailable {
		t.Error(err)
	}
}

// What is on the wire is what Kubernetes has: see k8s.io/streaming and k8s.io/client-go/tools/remotecommand.
func TestMessagesOfExec(t *testing.T) {
	var got [][]byte
	p := newPodOf(t, func(conn *websock.Conn) {
		for range 2 {
			_, message, err := conn.RecvMessage(nil)
			if err != nil {
				t.Error(err)
			}
			got = append(got, message)
		}
		for _, message := range []string{"\x01", "\x01o", "", "\x09unknown", "\x01ut", "\x02err", "\xff\x01", "\x01late",
			"\x03" + `{"metadata":{},"status":"Failure","message":"command terminated with non-zero exit code","reason":"NonZeroExitCode","details":{"causes":[{"reason":"ExitCode","message":"42"}]}}`} {
			conn.SendBinary([]byte(message))
		}
	})
	var stdout, stderr strings.Builder
	code, err := p.exec(within(t), []string{"x"}, streams{stdin: strings.NewReader("hi"), stdout: &stdout, stderr: &stderr})
	if code != 42 || err != nil || !strings.HasPrefix(stdout.String(), "out") || stderr.String() != "err" {
		t.Errorf("%d, %v, %q, %q", code, err, &stdout, &stderr)
	}
	if want := [][]byte{[]byte("\x00hi"), {255, 0}}; !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%q", got)
	}
}

func TestServersThatMisbehaveAreErrors(t *testing.T) {
	for what, serve := range map[string]func(*websock.Conn){
		"no status":     func(*websock.Conn) {},
		"a bad status":  func(conn *websock.Conn) { conn.SendBinary([]byte("\x03{")) },
		"no exit code":  func(conn *websock.Conn) { conn.SendBinary([]byte("\x03{\"status\":\"Failure\"}")) },
		"text":          func(conn *websock.Conn) { conn.SendText([]byte("\x01x")); conn.RecvMessage(nil) },
		"no close":      func(conn *websock.Conn) { conn.Abort(nil) },
		"another close": func(conn *websock.Conn) { conn.CloseWith(websock.CloseInternalError, "") },
		"a long status": func(conn *websock.Conn) {
			conn.SendBinary(append([]byte("\x03"), bytes.Repeat([]byte(" "), 2*maxStatus)...))
		},
	} {
		if _, err := newPodOf(t, serve).exec(within(t), []string{"x"}, streams{}); err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}
