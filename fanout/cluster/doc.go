// Package cluster lets processes on many machines keep one set of connections open together.
//
// Each key of the set has one connection, held by one of the processes: its members. When a member
// ends, the others take over what it held; when one joins, it takes its share. They agree through
// NATS JetStream: a server that runs inside the members, or one of your own.
package cluster
