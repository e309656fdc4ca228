package std_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/transport/std"
)

// While all goroutines wait, the runtime's monitor sleeps. It has to be woken before a Handler is
// called, since it is the monitor that preempts a Handler that computes for long.
//
// The test runs in a process of its own, in which nothing else wakes the monitor.
func TestHandlerThatComputesIsPreempted(t *testing.T) {
	if addr := os.Getenv("WEBSOCK_TEST_COMPUTE"); addr != "" {
		computeInHandler(addr)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), "WEBSOCK_TEST_COMPUTE="+l.Addr().String())
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	time.Sleep(200 * time.Millisecond) // until the process is idle
	io.WriteString(conn, "\x81\x05Hello")
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, output.Bytes())
	}
}

// computeInHandler receives a message from addr with a Handler that starts a goroutine and computes.
// It ends the process: with status 0 when the goroutine runs, 1 if it doesn't before the Handler
// returns.
func computeInHandler(addr string) {
	runtime.GOMAXPROCS(1)
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		panic(err)
	}
	c := websock.NewConn(std.New(conn, nil), websock.Client, websock.Options{})
	err = c.SetHandler(websock.Messages(func(*websock.Conn, websock.Opcode, []byte) {
		go os.Exit(0)
		for start := time.Now(); time.Since(start) < 20*time.Second; {
		}
		println("the Handler was not preempted")
		os.Exit(1)
	}, nil))
	if err != nil {
		panic(err)
	}
	select {}
}
