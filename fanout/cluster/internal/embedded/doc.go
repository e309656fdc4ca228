// Package embedded runs nats-server with JetStream inside the processes of a cluster, so that they
// need no other program.
//
// There are three ways:
//
//   - Alone: one process has the server, and speaks to it in memory. No port is open.
//   - Shared: the processes of one machine have the same directory. The one that gets its lock runs the
//     server, and the others connect to it over loopback and compete for the lock. When the process
//     dies, however it does, another one starts the server again from the same directory, and everybody
//     reconnects to that: in less than a second, if little is stored.
//   - Peers: each process runs a server, with a directory of its own, and the servers form a cluster.
//     With three or more, JetStream goes on when one is lost.
//
// # The directory
//
//	lock          locked by the process that runs the server
//	server.json   where the server listens, and the number of its process
//	token         what clients show to be let in; only the owner can read it
//	name          of the server among its peers; it must not be copied to another one
//	jetstream/    what JetStream keeps
//
// # Who is let in
//
// Clients show the token of the directory, or Config.Secret. So other programs and users of the
// machine don't get in by accident. Nothing is encrypted: over networks that others listen on, use
// servers of your own, with TLS.
//
// # What is lost when the power fails
//
// JetStream acknowledges a write when the operating system has it (with several servers: those of a
// majority): it survives the death of the process, kill -9 too. The disk has it about a second later.
// So when a machine loses its power, the writes of its last second may be gone: with one server, for
// everybody, and revisions may be given out a second time; with three servers on three machines, only
// if more than one of them loses its power within that second. With Config.SyncAlways a write is
// acknowledged when the disk has it.
//
// # How long JetStream is away
//
// A shared server is away while another process starts it, for some tenths of a second. If its process
// doesn't die but stands still (SIGSTOP, a debugger), it keeps the lock, and everybody waits for it.
//
// When a peer is shut down, what it led gets another leader at once. When it is killed, or its machine
// is lost or stands still, the others notice that after 4 to 9 seconds, for which nats-server has no
// setting: until then there are no writes of what it led. A lease should outlast that: 20 seconds, say.
package embedded
