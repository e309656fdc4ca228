// Package cluster lets processes on many machines keep one set of connections open together.
//
// Each key of the set has one connection, held by one of the processes: its members. When a member
// ends, the others take over its keys; when one joins, it takes its share. They agree through NATS
// JetStream: a server that runs inside the members, or your own.
//
//	c, err := cluster.Start(ctx, cluster.Options{
//		Name:   "tickers",
//		Keys:   cluster.Static("BTC", "ETH"),
//		Fanout: fanout.Options{Choose: ..., OnMessage: ...},
//		Rate:   50, // connections a second, of all members together
//	})
//	...
//	c.Shutdown(ctx)
//
// The connections are those of a fanout.Group: dialing, backoff, keepalive and sending are as there.
//
// # Keys
//
// Keys are those of Static, Func or Bucket. They are divided into partitions by their hash. A member
// holds whole partitions, and all members compute in the same way who is to hold which.
//
// # Leases
//
// A member writes a record of itself every fifth of Options.Lease. If the others see no change of it for
// Lease, they declare it dead and take over. If it can't write, it aborts its connections Options.Margin
// before that. So a key has at most one connection, except with Options.Overlap or KeepConnections, or if
// a process is paused: then its connections stay, silent, until it goes on. The fencing token tells
// them apart: see Cluster.Token and Options.FenceHeader.
//
// # Messages
//
// What is received can be published to NATS (Options.Publish), and messages for keys can be sent by any
// program that speaks NATS (Options.Receive, Send).
//
// # Cost
//
// A member writes some hundred bytes every fifth of Lease, and receives what the others write. A key that
// another member holds takes some hundred bytes of memory, for its name.
package cluster
