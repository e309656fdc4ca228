package main

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/live"
	"github.com/seed004e8d11/websock/cmd/websock/internal/measure"
)

const (
	beginScreen = "\x1b[?1049h"
	endScreen   = "\x1b[?1049l"
	showCursor  = "\x1b[?25h"
)

// openScreen returns a terminal of a size, someone who looks at it, and what checks, when the program has
// ended, that the terminal is as before.
func openScreen(t *testing.T, width, height int) (p *typist, program *os.File, checkRestored func()) {
	t.Helper()
	t.Setenv("TERM", "xterm-256color")
	t.Setenv("LC_ALL", "C.UTF-8")
	person, program := openTerminal(t)
	resize(t, program, width, height)
	before, _ := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	p = &typist{t: t, terminal: person}
	go p.readScreen()
	return p, program, func() {
		t.Helper()
		if after, _ := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS); *after != *before {
			t.Errorf("the terminal is left in another state: %+v", after)
		}
		p.past = 0
		p.waitFor(beginScreen)
		p.waitFor(endScreen)
		seen := p.seen.String()
		if strings.LastIndex(seen, showCursor) < strings.LastIndex(seen, "\x1b[?25l") {
			t.Error("the cursor is left hidden")
		}
	}
}

// escapes are what moves on a terminal, and what follows it.
var escapes = regexp.MustCompile("\x1b(?:\\[(?:(\\d+);(\\d+)H|[^a-zA-Z]*[a-zA-Z])|[()].|[=>])|[^\x1b]+")

// screenOf returns what a terminal shows after a program has written text on a screen of its own.
func screenOf(text string) string {
	lines := [100][]rune{}
	x, y := 0, 0
	for _, piece := range escapes.FindAllStringSubmatch(text, -1) {
		switch {
		case piece[1] != "":
			y, _ = strconv.Atoi(piece[1])
			x, _ = strconv.Atoi(piece[2])
			x, y = x-1, y-1
		case piece[0] == "\x1b[J":
			clear(lines[:])
		case piece[0][0] != '\x1b':
			for _, char := range piece[0] {
				for len(lines[y]) <= x {
					lines[y] = append(lines[y], ' ')
				}
				lines[y][x] = char
				x++
			}
		}
	}
	var all strings.Builder
	for _, line := range lines {
		all.WriteString(strings.TrimRight(string(line), " ") + "\n")
	}
	return all.String()
}

// waitForScreen waits until the screen of its own that a program has matches a pattern.
func (p *typist) waitForScreen(pattern string) {
	p.t.Helper()
	wanted := regexp.MustCompile("^(?s:.*)" + pattern)
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		_, screen, _ := strings.Cut(p.seen.String(), beginScreen)
		if shown := screenOf(screen); wanted.MatchString(shown) {
			return
		} else if time.Now().After(end) {
			p.t.Fatalf("no %q in\n%s", pattern, shown)
		}
	}
}

func resize(t *testing.T, terminal *os.File, width, height int) {
	size := &unix.Winsize{Col: uint16(width), Row: uint16(height)}
	if err := unix.IoctlSetWinsize(int(terminal.Fd()), unix.TIOCSWINSZ, size); err != nil {
		t.Fatal(err)
	}
}

func TestFanoutHasAScreenOfItsOwn(t *testing.T) {
	url, _ := startServer(t)
	p, program, checkRestored := openScreen(t, 80, 24)
	ended := make(chan int)
	go func() {
		ended <- run(t.Context(), []string{"fanout", "-url", url, "-n", "20", "-duration", "1h"}, program, program, program)
	}()
	p.waitForScreen("websock fanout  " + url)
	p.waitForScreen("exchanging")
	p.waitForScreen("20 up")
	p.typeKeys("xyq")
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
	checkRestored()
	p.waitFor("connections")
	p.waitFor("20 of 20")
}

// startProcessOnTerminal starts the program as a process whose terminal this is.
func startProcessOnTerminal(t *testing.T, terminal *os.File, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0], args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	// The tests may run under nohup. A process that catches a signal hands on its default action.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	return cmd
}

// silentServer accepts connections and answers nothing.
func silentServer(t *testing.T) string {
	return startScriptedServer(t, func(conn *websock.Conn) {
		for {
			if _, _, err := conn.RecvMessage(nil); err != nil {
				return
			}
		}
	})
}

func TestTheSecondInterruptRestoresTheTerminal(t *testing.T) {
	const controlC = "\x03"
	byKey := func(key string) func(*typist, *os.Process) {
		return func(p *typist, _ *os.Process) { p.typeKeys(key) }
	}
	bySignal := func(_ *typist, process *os.Process) { process.Signal(syscall.SIGTERM) }
	for name, interrupts := range map[string][2]func(*typist, *os.Process){
		"Control-C":       {byKey(controlC), byKey(controlC)},
		"signals":         {bySignal, bySignal},
		"a key, a signal": {byKey("q"), bySignal},
		"a signal, a key": {bySignal, byKey("q")},
		"a hangup":        {byKey("q"), func(_ *typist, process *os.Process) { process.Signal(syscall.SIGHUP) }},
	} {
		t.Run(name, func(t *testing.T) {
			p, program, checkRestored := openScreen(t, 100, 30)
			cmd := startProcessOnTerminal(t, program, "fanout", "-url", silentServer(t), "-n", "1", "-duration", "1h", "-timeout", "1h")
			p.waitForScreen("exchanging")
			interrupts[0](p, cmd.Process)
			p.waitForScreen("interrupted")
			interrupts[1](p, cmd.Process)
			tooLate := time.AfterFunc(time.Minute, func() { cmd.Process.Signal(syscall.SIGQUIT) })
			cmd.Wait()
			tooLate.Stop()
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("%v", cmd.ProcessState)
			}
			checkRestored()
		})
	}
}

func TestTheScreenFollowsTheSizeOfTheTerminal(t *testing.T) {
	p, program, checkRestored := openScreen(t, 80, 24)
	cmd := startProcessOnTerminal(t, program, "fanout", "-url", silentServer(t), "-n", "1", "-duration", "1h", "-timeout", "1h")
	p.waitForScreen("exchanging")
	p.waitForScreen(strings.Repeat(".*\n", 23) + " q or")
	resize(t, program, 200, 60)
	p.waitForScreen(strings.Repeat(".*\n", 59) + " q or")
	p.typeKeys("qq")
	cmd.Wait()
	checkRestored()
}

func TestAnErrorIsToldAfterTheScreen(t *testing.T) {
	p, program, checkRestored := openScreen(t, 80, 24)
	code := run(t.Context(), []string{"fanout", "-cluster", "-nats", "nats://127.0.0.1:1", "-url", unusedURL}, program, program, program)
	if code != 3 {
		t.Errorf("%d", code)
	}
	checkRestored()
	p.waitFor("websock: ")
}

// TestPanicChild is the process of TestAPanicRestoresTheTerminal.
func TestPanicChild(t *testing.T) {
	if os.Getenv("WEBSOCK_TEST_PANIC") == "" {
		t.Skip("is started by TestAPanicRestoresTheTerminal")
	}
	looks := 0
	d := live.New(live.Options{Out: os.Stderr})
	d.Start(t.Context(), func() measure.Snapshot {
		if looks++; looks > 2 {
			panic("looked too often")
		}
		return measure.Snapshot{Phase: "exchanging"}
	})
	time.Sleep(time.Minute)
}

func TestAPanicRestoresTheTerminal(t *testing.T) {
	p, program, checkRestored := openScreen(t, 80, 24)
	t.Setenv("WEBSOCK_TEST_PANIC", "1")
	cmd := startProcessOnTerminal(t, program, "-test.run=^TestPanicChild$")
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 2 {
		t.Errorf("%v", cmd.ProcessState)
	}
	checkRestored()
	p.waitFor("panic: looked too often")
}

func TestPlainLinesOnADumbTerminal(t *testing.T) {
	url, _ := startServer(t)
	p, program, _ := openScreen(t, 80, 24)
	t.Setenv("TERM", "dumb")
	ctx, interrupt := context.WithCancel(t.Context())
	ended := make(chan int)
	go func() {
		ended <- run(ctx, []string{"fanout", "-url", url, "-n", "1", "-duration", "1h"}, program, program, program)
	}()
	p.waitFor("exchanging: ")
	interrupt()
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
	p.waitFor("messages received")
	if seen := p.seen.String(); strings.Contains(seen, "\x1b") {
		t.Errorf("%q", seen)
	}
}
