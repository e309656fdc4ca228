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

// An outcome is what came of a fault, in words that don't vary from machine to machine.
type outcome struct {
	err     string // that the client got
	sent    string // close code that the client sent
	noticed string // when the client knew
	left    string // when all was closed
}

// try lets a client with a setting have a fault.
func try(t *testing.T, f fault, s setting) (o outcome) {
	t.Helper()
	goroutines, descriptors := runtime.NumGoroutine(), openFiles()
	server := start(t, f, s.scheme == "wss")
	peak := watchMemory()
	e := experience(t, f, s, server.proxy.Addr())
	if most := peak(); most > f.mebibytes()<<20 && !race.Enabled { // else pools drop what they have
		t.Errorf("%v: %d bytes at the peak, more than %d MiB", s, most, f.mebibytes())
	}
	server.stop()
	o.err = describe(e)
	o.sent = server.told
	o.noticed = noticed(t, f, e)
	o.left = remains(goroutines, descriptors)
	return o
}

// noticed says when the client knew. How long that is depends on the machine; that a deadline
// had to pass, the error says.
func noticed(t *testing.T, f fault, e ending) string {
	late := errors.Is(e.err, os.ErrDeadlineExceeded) || errors.Is(e.err, context.DeadlineExceeded) || errors.Is(e.err, websock.ErrIdle)
	switch {
	case !late:
		return "at once"
	case f.deadline == nil || e.took < wait:
		t.Errorf("%v after %v", e.err, e.took)
		return "too early"
	}
	return "`" + f.deadline.name + "`"
}

// watchMemory watches the heap until the function that it returns is called, which returns
// by how much it has grown at most. Garbage doesn't count.
func watchMemory() (peak func() uint64) {
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

// remains says what is left of a connection, after a moment for what ends by itself.
func remains(goroutines, descriptors int) string {
	for range 500 {
		if runtime.NumGoroutine() <= goroutines && openFiles() <= descriptors {
			return "nothing"
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Sprintf("%d goroutines, %d descriptors", runtime.NumGoroutine()-goroutines, openFiles()-descriptors)
}

// openFiles returns how many descriptors the process has.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		panic(err)
	}
	return len(entries)
}

// describe names the errors of an ending by their types and causes.
func describe(e ending) string {
	text := name(e.err)
	if e.close != nil {
		text += "; `Close`: " + name(e.close)
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
	if errors.As(err, &limit) {
		parts = append(parts, fmt.Sprintf("`LimitError` %d: %s", limit.Code, limit.Limit))
	}
	return strings.Join(append(parts, causes(err)...), ", ")
}

// causes names what else is in the chain of an error.
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
