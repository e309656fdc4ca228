// Package socket has what transports need of sockets beyond what net.Conn offers: reading and
// writing without blocking, moving a connection to another descriptor, addresses in little
// memory, and options.
package socket
