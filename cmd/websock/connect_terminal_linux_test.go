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
	raw, err := person.SyscallConn() // after Fd, Close would not end a Read
	if err != nil {
		t.Fatal(err)
	}
	var number int
	raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	})
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

// startOnTerminal runs the program on a new terminal.
func startOnTerminal(t *testing.T, args ...string) (p *typist, ended <-chan int) {
	file, program := openTerminal(t)
	p = &typist{t: t, terminal: file}
	go p.readScreen()
	code := make(chan int)
	go func() { code <- run(t.Context(), args, program, program, program) }()
	return p, code
}

func TestCommandsOnATerminal(t *testing.T) {
	t.Setenv("NO_COLOR", "1")
	url := startScriptedServer(t, func(conn *websock.Conn) {
		conn.SendText([]byte(`{"a":["\u009b31m"]}`))
		echoChanged(conn, func(op websock.Opcode, _ []byte) websock.Opcode { return op })
	})
	file := t.TempDir() + "/file"
	os.WriteFile(file, []byte("\x00content"), 0o600)
	p, ended := startOnTerminal(t, "connect", "-pretty", "-time", url)
	p.waitFor("s] < {\r\n  \"a\": [\r\n    \"\\u009b31m\"\r\n  ]\r\n}\r\n")
	p.waitFor("> ")
	p.typeKeys("/help\r")
	p.waitFor("/binary FILE ")
	p.typeKeys("/ping me\r")
	p.waitFor(`pong "me" after `)
	p.typeKeys("/binary " + file + "\r")
	p.waitFor("s] < binary, 8 bytes\r\n00000000  00 63 6f 6e")
	p.typeKeys("//etc\r")
	p.waitFor("s] < /etc\r\n")
	p.typeKeys("/nonsense\r")
	p.waitFor("not sent: there is no command /nonsense (")
	p.typeKeys("/binary /nowhere\r")
	p.waitFor("not sent: stat /nowhere: no such file")
	p.typeKeys("/close 4000 bye\r")
	p.waitFor("closed by us: 4000: bye")
	if code := <-ended; code != 0 {
		t.Errorf("%d", code)
	}
}

func TestJSONIsInColor(t *testing.T) {
	t.Setenv("NO_COLOR", "")
	t.Setenv("TERM", "xterm")
	url, _ := startServer(t)
	p, ended := startOnTerminal(t, "connect", "-pretty", url)
	p.waitFor("connected to ")
	p.typeKeys("[null]\r")
	p.waitFor("\x1b[2mnull\x1b[0m\r\n")
	p.typeKeys("\x04")
	if code := <-ended; code != 0 {
		t.Errorf("%d", code)
	}
}

func TestCommandsAreSwitchedOffOnATerminal(t *testing.T) {
	url, _ := startServer(t)
	p, ended := startOnTerminal(t, "connect", "-commands=false", url)
	p.waitFor("> ")
	p.typeKeys("/close\r")
	p.waitFor("< /close\r\n")
	p.typeKeys("//x\r")
	p.waitFor("< //x\r\n")
	p.typeKeys("\x04")
	if code := <-ended; code != 0 {
		t.Errorf("%d", code)
	}
}

func TestLinesTypedWithoutAConnectionAreRefused(t *testing.T) {
	for keys, want := range map[string]string{"\x04": "", "/close\r": "", "/close 1\r/help\r\x04": "/binary FILE"} {
		url, tries := startFailingServer(t, func(conn *websock.Conn) { conn.CloseWith(websock.CloseTryAgainLater, "\x1b[2J") }) // for half a minute at least
		p, ended := startOnTerminal(t, "connect", "-reconnect", url)
		p.waitFor(`closed by the peer: 1013 (try again later): \x1b[2J`)
		p.waitFor("dialing again in ")
		p.typeKeys("hello\r/ping\r")
		p.waitFor("not sent: there is no connection")
		p.waitFor("not sent: there is no connection")
		p.typeKeys(keys)
		p.waitFor(want)
		if code := <-ended; code != 6 || tries() != 1 {
			t.Errorf("%q: %d after %d tries", keys, code, tries())
		}
	}
}

func TestATerminalTalksToTheNextConnection(t *testing.T) {
	echo := func(conn *websock.Conn) {
		echoChanged(conn, func(op websock.Opcode, msg []byte) websock.Opcode {
			if string(msg) == "end" {
				conn.Abort(nil)
			}
			return op
		})
	}
	url, _ := startFailingServer(t, echo, echo)
	p, ended := startOnTerminal(t, "connect", "-reconnect", url)
	p.waitFor("connected to ")
	p.typeKeys("end\r")
	p.waitFor("connected to ")
	p.typeKeys("hello\r")
	p.waitFor("< hello\r\n")
	p.typeKeys("\x04")
	if code := <-ended; code != 0 {
		t.Errorf("%d", code)
	}
}

func TestControlCInterruptsConnectWhileTheServerTakesNothing(t *testing.T) {
	stop := make(chan struct{})
	url := startScriptedServer(t, func(*websock.Conn) { <-stop })
	defer close(stop)
	file := t.TempDir() + "/large"
	os.WriteFile(file, nil, 0o600)
	os.Truncate(file, 16<<20)
	p, ended := startOnTerminal(t, "connect", url)
	p.waitFor("connected to ")
	p.typeKeys("/binary " + file + "\r")
	p.typeKeys("/binary " + file + "\r")
	for range 100 {
		p.typeKeys("x\r")
	}
	p.waitFor("not sent: the server does not take what was sent before")
	p.typeKeys("\x04half a line\x03")
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
}

func TestControlCInterruptsConnect(t *testing.T) {
	url, _ := startServer(t)
	p, ended := startOnTerminal(t, "connect", url)
	p.waitFor("connected to 127.0.0.1:")
	p.waitFor("> ")
	p.typeKeys("half a line\x03")
	p.waitFor("clos") // "closed by us", or "closing handshake not completed" where 5 s pass: not "aborted"
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
}

func TestControlCInterruptsConnectWhileItConnects(t *testing.T) {
	asked, stop := make(chan struct{}), make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(asked); <-stop }))
	defer silent.Close()
	defer close(stop)
	p, ended := startOnTerminal(t, "connect", "-timeout", "10m", "ws"+strings.TrimPrefix(silent.URL, "http"))
	<-asked
	p.typeKeys("\x03")
	if code := <-ended; code != 130 {
		t.Errorf("%d", code)
	}
}
