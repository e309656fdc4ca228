package cluster

import "github.com/seed004e8d11/websock/fanout"

// A Cluster is this process as a member of a cluster.
type Cluster struct {
	options Options
	group   *fanout.Group
}

// Group returns the fanout.Group that holds this member's connections: its slots are the keys that the
// member holds now. It serves to send, to broadcast and to look. Adding and removing slots is the
// Cluster's business.
func (c *Cluster) Group() *fanout.Group { return c.group }
