package fanout

import (
	"context"
	"log/slog"
)

// log logs something about a slot.
func (g *Group) log(level slog.Level, what string, s *Slot, more ...slog.Attr) {
	ctx := context.Background()
	if g.options.Logger == nil || !g.options.Logger.Enabled(ctx, level) {
		return
	}
	g.options.Logger.LogAttrs(ctx, level, what, append([]slog.Attr{slog.String("slot", s.Key())}, more...)...)
}
