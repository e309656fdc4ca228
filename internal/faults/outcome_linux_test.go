package faults

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/metrics"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/race"
)

// An outcome is the result of a fault in words that don't vary from machine to machine.
type outcome struct {
	err     string // of the client
	sent    string // close code that the client sent
	noticed string // when the client noticed
	left    string // goroutines and descriptors at the end
}

// try runs a client with a setting against a fault.
func try(t *testing.T, f fault, s setting) (o outcome) {
	t.Helper()
	goroutines, descriptors := runtime.NumGoroutine(), openFiles()
	server := start(t, f, s)
	peak := watchMemory()
	r := run(t, f, s, server.proxy.Addr())
	if grown := peak(); grown > f.mebibytes()<<20 {
		t.Errorf("%v: the heap grew by %d bytes, more than %d MiB", s, grown, f.mebibytes())
	}
	server.stop()
	o.err = describe(r)
	o.sent = server.code
	o.noticed = noticed(t, f, r)
	o.left = remains(goroutines, descriptors)
	return o
}

// noticed describes when the client noticed the fault. Times vary from machine to machine, but the
// error says whether a deadline had to pass.
func noticed(t *testing.T, f fault, r result) string {
	late := errors.Is(r.err, os.ErrDeadlineExceeded) || errors.Is(r.err, context.DeadlineExceeded) || errors.Is(r.err, websock.ErrIdle)
	switch {
	case !late:
		return "at once"
	case f.deadline == nil || r.took < wait:
		t.Errorf("%v after %v", r.err, r.took)
		return "too early"
	}
	return "`" + f.deadline.name + "`"
}

// watchMemory watches the heap until peak is called, which returns the most by which it grew. Garbage
// doesn't count. Under the race detector, where pools drop buffers and collecting takes long, the heap doesn't grow.
func watchMemory() (peak func() uint64) {
	if race.Enabled {
		return func() uint64 { return 0 }
	}
	before := heap()
	most := before
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			most = max(most, heap())
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	return func() uint64 {
		close(stop)
		<-stopped
		return most - before
	}
}

func heap() uint64 {
	runtime.GC()
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// remains describes the goroutines and descriptors that remain after a connection.
func remains(goroutines, descriptors int) string {
	for range 6000 {
		if runtime.NumGoroutine() <= goroutines && openFiles() <= descriptors {
			return "nothing"
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Sprintf("%d goroutines, %d descriptors", runtime.NumGoroutine()-goroutines, openFiles()-descriptors)
}

// openFiles returns the number of open descriptors.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// describe describes the errors of a result by their types and causes.
func describe(r result) string {
	text := name(r.err)
	if r.close != nil {
		text += "; `Close`: " + name(r.close)
	}
	return text
}

func name(err error) string {
	var broken *websock.ProtocolError
	var limit *websock.LimitError
	var closed *websock.CloseError
	var failed *websock.HandshakeError
	var parts []string
	switch {
	case err == nil:
		return "none"
	case errors.As(err, &failed):
		parts = append(parts, "`HandshakeError`")
		if failed.Status != 0 {
			parts = append(parts, fmt.Sprint("status ", failed.Status))
		}
	case errors.As(err, &closed):
		parts = append(parts, fmt.Sprintf("`CloseError` %d", closed.Code))
		if closed.Local {
			parts = append(parts, "local")
		}
	case errors.As(err, &broken):
		parts = append(parts, fmt.Sprintf("`ProtocolError` %d: %s", broken.Code, broken.Rule))
	}
	var reset *websock.StreamError
	var lost *websock.SessionError
	if errors.As(err, &reset) {
		parts = append(parts, fmt.Sprintf("`StreamError` %v%s", reset.Code, by(reset.Remote)))
	}
	if errors.As(err, &lost) {
		parts = append(parts, fmt.Sprintf("`SessionError` %v%s", lost.Code, by(lost.Remote)))
	}
	if errors.As(err, &limit) {
		parts = append(parts, fmt.Sprintf("`LimitError` %d: %s", limit.Code, limit.Limit))
	}
	return strings.Join(append(parts, causes(err)...), ", ")
}

// by tells who has ended a stream or a session.
func by(remote bool) string {
	if remote {
		return " of the server"
	}
	return ""
}

// causes names the other errors in the chain.
func causes(err error) (names []string) {
	for _, cause := range []struct {
		err  error
		name string
	}{
		{io.ErrUnexpectedEOF, "io.ErrUnexpectedEOF"},
		{io.EOF, "io.EOF"},
		{syscall.ECONNRESET, "ECONNRESET"},
		{syscall.EPIPE, "EPIPE"},
		{websock.ErrIdle, "ErrIdle"},
		{websock.ErrTimeout, "ErrTimeout"},
		{context.DeadlineExceeded, "context.DeadlineExceeded"},
		{os.ErrDeadlineExceeded, "os.ErrDeadlineExceeded"},
	} {
		known := cause.err == os.ErrDeadlineExceeded && (errors.Is(err, websock.ErrTimeout) || errors.Is(err, context.DeadlineExceeded))
		if errors.Is(err, cause.err) && !known {
			names = append(names, "`"+cause.name+"`")
		}
	}
	return names
}
