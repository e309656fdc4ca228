// Package socket knows what sockets do that net.Conn doesn't say.
package socket
