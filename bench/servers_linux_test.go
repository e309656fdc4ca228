package bench

import (
	"flag"
	"fmt"
	"math"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/bench/loopback"
	"github.com/seed004e8d11/websock/transport/epoll"
)

var echoPort = flag.Int("websock.port", 0, "port of TestEchoProgram")

// TestEchoProgram is the program of TestProgramIsComparedAsServer.
func TestEchoProgram(t *testing.T) {
	if *echoPort == 0 {
		t.Skip("only for TestProgramIsComparedAsServer")
	}
	options := &websock.AcceptOptions{
		Transport: epoll.Transport(),
		Handler:   websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) { c.SendFrame(op, true, msg) }, nil),
	}
	t.Fatal(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", *echoPort), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		websock.Accept(w, r, options)
	})))
}

func TestProgramIsComparedAsServer(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	program, err := loopback.Program(os.Args[0] + " -test.run=^TestEchoProgram$ -websock.port=PORT")
	if err != nil {
		t.Fatal(err)
	}
	echo := loopback.Case{Server: true, Kind: loopback.Echo, Conns: 2, Window: 1}
	r, err := lab.Run(program, echo, loopback.Timing{Window: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if r.Messages == 0 || r.CPU <= 0 || r.Turnaround.P50 <= 0 || r.Turnaround.P99 < r.Turnaround.P50 {
		t.Errorf("%+v", r)
	}
	idle := loopback.Case{Server: true, Kind: loopback.Idle, Conns: 200}
	if r, err = lab.Run(program, idle, loopback.Timing{}); err != nil {
		t.Fatal(err)
	}
	if !math.IsNaN(r.GoroutinesPerConn) { // there may be room for these connections in its memory already
		t.Errorf("%+v", r)
	}
}

func TestProgramThatDoesNotListenIsAnError(t *testing.T) {
	lab, err := openLab()
	if err != nil {
		t.Fatal(err)
	}
	program, err := loopback.Program("/nonexistent")
	if err != nil {
		t.Fatal(err)
	}
	if r, err := lab.Run(program, loopback.Case{Server: true, Kind: loopback.Idle, Conns: 1}, loopback.Timing{}); err == nil {
		t.Errorf("%+v", r)
	}
	if _, err := loopback.Program(" "); err == nil {
		t.Error("no program is no error")
	}
}
