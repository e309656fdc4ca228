package connect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/cmd/websock/internal/console"
	"github.com/seed004e8d11/websock/engine"
)

// A CommandMode says whether lines that begin with a slash are commands.
type CommandMode int

// The modes.
const (
	CommandsOfTerminals CommandMode = iota // in lines that are typed on a terminal
	CommandsAlways
	CommandsNever
)

// takesCommands reports whether lines may be commands.
func (s *session) takesCommands() bool {
	return !s.One && (s.Commands == CommandsAlways || s.Commands == CommandsOfTerminals && s.typed)
}

const commandHelp = `/ping [TEXT]            send a ping, and show how long the answer takes
/pong [TEXT]            send a pong
/close [CODE [REASON]]  close the connection, and end
/binary FILE            send the content of a file as a binary message
/help                   show this
//...                   send a line that begins with one slash
`

// cutCommand returns the name and the argument of a line that is a command.
func cutCommand(line []byte) (name, arg string, ok bool) {
	if !bytes.HasPrefix(line, []byte("/")) || bytes.HasPrefix(line, []byte("//")) {
		return "", "", false
	}
	name, arg, _ = strings.Cut(string(line[1:]), " ")
	return name, arg, true
}

// unescapeLine returns what is sent for a line that is no command.
func unescapeLine(line []byte) []byte {
	if bytes.HasPrefix(line, []byte("//")) {
		return line[1:]
	}
	return line
}

// command carries out a command.
func (l *link) command(name, arg string) error {
	switch name {
	case "help":
		l.showHelp()
	case "ping":
		if len(arg) > engine.MaxControlPayload {
			return websock.ErrControlTooLong
		}
		return l.ping(arg)
	case "pong":
		return l.sendFrame(websock.OpPong, []byte(arg))
	case "close":
		status, err := l.parseClose(arg)
		if err != nil {
			return err
		}
		l.over.Store(true)
		l.close(status)
	case "binary":
		content, err := readMessage(arg)
		if err != nil {
			return err
		}
		return l.sendFrame(websock.OpBinary, content)
	default:
		return unknownCommand(name)
	}
	return nil
}

func unknownCommand(name string) error {
	return fmt.Errorf("there is no command /%.40s (/help lists them; a line that begins with // is sent with one slash)", name)
}

func (s *session) showHelp() { io.WriteString(s.Err, commandHelp) }

// parseClose returns what "/close CODE REASON" closes with, by default that of the options.
func (s *session) parseClose(arg string) (CloseStatus, error) {
	if strings.TrimSpace(arg) == "" {
		return s.Close, nil
	}
	code, reason, _ := strings.Cut(arg, " ")
	return ParseCloseStatus(code, reason)
}

// A CloseStatus is the content of a close frame.
type CloseStatus struct {
	Code   websock.CloseCode
	Reason string
}

// ParseCloseStatus returns a CloseStatus that can be sent.
func ParseCloseStatus(code, reason string) (CloseStatus, error) {
	number, err := strconv.ParseUint(strings.TrimSpace(code), 10, 16)
	if err != nil {
		return CloseStatus{}, fmt.Errorf("%q is no close code", code)
	}
	status := CloseStatus{websock.CloseCode(number), strings.TrimSpace(reason)}
	switch err := engine.CheckClose(status.Code, status.Reason); {
	case errors.Is(err, engine.ErrCloseCode):
		return status, fmt.Errorf("close code %d must not be sent", number)
	case errors.Is(err, engine.ErrControlTooLong):
		return status, errors.New("a reason has at most 123 bytes")
	default:
		return status, err
	}
}

// readMessage reads a file of at most maxLine bytes. Only regular files are read: others, such as a
// named pipe, may keep the session waiting.
func readMessage(name string) ([]byte, error) {
	name = strings.TrimSpace(name)
	if name == "" {
		return nil, errors.New("/binary takes the name of a file")
	}
	if below, ok := strings.CutPrefix(name, "~/"); ok {
		if home, err := os.UserHomeDir(); err == nil {
			name = filepath.Join(home, below)
		}
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is no regular file", name)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxLine+1))
	if err == nil && len(content) > maxLine {
		err = fmt.Errorf("%s has more than %s bytes", name, console.Grouped(maxLine))
	}
	return content, err
}
