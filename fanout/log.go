package fanout

import (
	"context"
	"log/slog"
)

// log logs something about a slot.
func (g *Group) log(level slog.Level, what string, s *Slot, more ...slog.Attr) {
	if g.logs(level) {
		g.logGroup(level, what, append([]slog.Attr{slog.String("slot", s.Key())}, more...)...)
	}
}

// logGroup logs something that isn't about a single slot.
func (g *Group) logGroup(level slog.Level, what string, more ...slog.Attr) {
	if g.logs(level) {
		g.options.Logger.LogAttrs(context.Background(), level, what, more...)
	}
}

func (g *Group) logs(level slog.Level) bool {
	return g.options.Logger != nil && !g.over.Load() && g.options.Logger.Enabled(context.Background(), level)
}
