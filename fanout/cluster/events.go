package cluster

import (
	"log/slog"

	"github.com/seed004e8d11/websock/fanout/cluster/internal/machine"
)

// observe logs and counts what the member tells.
func (c *Cluster) observe(e machine.Event) {
	c.counts.event(e)
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("member", c.id)}
	switch e.Kind {
	case machine.Joined:
		c.joinedOnce()
	case machine.MemberJoin, machine.DeclareDead:
		attrs = append(attrs, slog.String("other", e.Member))
	case machine.MemberEnd:
		attrs = append(attrs, slog.String("other", e.Member), slog.Duration("silent", e.Took))
	case machine.Claimed, machine.Received, machine.HandedOver:
		level = slog.LevelDebug // there are many
		attrs = append(attrs, slog.Int("partition", e.Partition), slog.String("holder", e.Member), slog.Uint64("token", e.Token))
	case machine.SessionLost, machine.NATSAway:
		level = slog.LevelWarn
		attrs = append(attrs, slog.String("cause", e.Cause))
	}
	c.log(level, e.Kind.String(), attrs...)
}

// joinedOnce lets Start return. The member joins again after it has lost its session.
func (c *Cluster) joinedOnce() {
	select {
	case <-c.joined:
	default:
		close(c.joined)
	}
}
