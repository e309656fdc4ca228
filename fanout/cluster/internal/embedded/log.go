package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// A serverLog passes on what nats-server logs, and keeps the first fatal record: nats-server, as a
// program, would end the process there.
type serverLog struct {
	to    *slog.Logger
	fatal chan error // has room for one
}

func newServerLog(to *slog.Logger) *serverLog {
	return &serverLog{to: to, fatal: make(chan error, 1)}
}

func text(format string, v []any) string { return "nats-server: " + fmt.Sprintf(format, v...) }

// Noticef passes on what the server tells on its ways up and down.
func (l *serverLog) Noticef(format string, v ...any) { l.to.Debug(text(format, v)) }

// Warnf passes on a warning.
func (l *serverLog) Warnf(format string, v ...any) { l.to.Warn(text(format, v)) }

// Errorf passes on an error. That a peer can't be reached is none where peers come and go, and is said
// again and again.
func (l *serverLog) Errorf(format string, v ...any) {
	level := slog.LevelError
	if strings.HasPrefix(format, "Error trying to connect to route") {
		level = slog.LevelDebug
	}
	l.to.Log(context.Background(), level, text(format, v))
}

// Fatalf keeps an error that the server can't start with.
func (l *serverLog) Fatalf(format string, v ...any) {
	select {
	case l.fatal <- fmt.Errorf("nats-server: "+format, v...):
	default:
		l.to.Error(text(format, v))
	}
}

// Debugf is not used: the server isn't told to debug.
func (l *serverLog) Debugf(format string, v ...any) {}

// Tracef is not used: the server isn't told to trace.
func (l *serverLog) Tracef(format string, v ...any) {}
