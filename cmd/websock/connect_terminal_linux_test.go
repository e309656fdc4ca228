package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed004e8d11/websock"
)

// openTerminal returns both ends of a new pseudoterminal: the person's and the program's.
func openTerminal(t *testing.T) (person, program *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skip("no terminals here: ", err)
	}
	t.Cleanup(func() { person.Close() })
	fd := int(person.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprint("/dev/pts/", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return person, program
}

// A typist types at a terminal and reads what it shows.
type typist struct {
	t        *testing.T
	terminal *os.File
	seen     syncBuffer
	past     int // bytes of it that waitFor has passed
}

func (p *typist) readScreen() {
	buf := make([]byte, 1024)
	for {
		n, err := p.terminal.Read(buf)
		if err != nil {
			return
		}
		p.seen.Write(buf[:n])
	}
}

// waitFor waits until text appears after the text of the call before.
func (p *typist) waitFor(text string) {
	p.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		seen := p.seen.String()
		if i := strings.Index(seen[p.past:], text); i >= 0 {
			p.past += i + len(text)
			return
		}
		if time.Now().After(end) {
			p.t.Fatalf("no %q in %q", text, seen[p.past:])
		}
	}
}

func (p *typist) typeKeys(keys string) { p.terminal.WriteString(keys) }

func TestConnectOnATerminal(t *testing.T) {
	url := startScriptedServer(t, func(conn *websock.Conn) {
		for {
			op, msg, err := conn.RecvMessage(nil)
			if err != nil {
				return
			}
			if string(msg) == "binary" {
				op = websock.OpBinary
			}
			conn.SendFrame(op, true, append(msg, "\x1b[2J"...))
		}
	})
	file, program := openTerminal(t)
	before, _ := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS)
	history := t.TempDir() + "/history"
	p := &typist{t: t, terminal: file}
	go p.readScreen()
	ended := make(chan int)
	go func() {
		ended <- run(t.Context(), []string{"connect", "-history", history, url}, program, program, program)
	}()
	const left, up, controlD = "\x1b[D", "\x1b[A", "\x04"
	p.waitFor("connected to 127.0.0.1:")
	p.waitFor("> ")
	p.typeKeys("helo" + left + "l\r")
	p.waitFor(`< hello\x1b[2J`)
	p.typeKeys(up + " again\r")
	p.waitFor(`< hello again\x1b[2J`)
	p.typeKeys("binary\r")
	p.waitFor("< binary, 10 bytes")
	p.waitFor("|binary.[2J|")
	p.typeKeys(controlD)
	if code := <-ended; code != 0 {
		t.Errorf("%d", code)
	}
	p.waitFor("1000 (normal closure)")
	if after, _ := unix.IoctlGetTermios(int(program.Fd()), unix.TCGETS); *after != *before {
		t.Errorf("the terminal is left in another state: %+v", after)
	}
	if text, _ := os.ReadFile(history); string(text) != "hello\nhello again\nbinary\n" {
		t.Errorf("history %q", text)
	}
}

func TestControlCInterruptsConnect(t *testing.T) {
	url, _ := startServer(t)
	file, program := openTerminal(t)
	p := &typist{t: t, terminal: file}
	go p.readScreen()
	ended := make(chan int)
	go func() { ended <- run(t.Context(), []string{"connect", url}, program, program, program) }()
	p.waitFor("connected to 127.0.0.1:")
	p.waitFor("> ")
	p.typeKeys("half a line\x03")
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
}

func TestControlCInterruptsConnectWhileItConnects(t *testing.T) {
	asked, stop := make(chan struct{}), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(asked); <-stop }))
	defer silent.Close()
	defer close(stop)
	file, program := openTerminal(t)
	p := &typist{t: t, terminal: file}
	go p.readScreen()
	ended := make(chan int)
	go func() {
		ended <- run(t.Context(), []string{"connect", "-timeout", "10m", "ws" + strings.TrimPrefix(silent.URL, "http")}, program, program, program)
	}()
	<-asked
	p.typeKeys("\x03")
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
}
