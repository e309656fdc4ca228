// Package deadline gives deadlines to a net.Conn on which none can be set, such as a channel of
// an SSH connection.
//
// Reads and writes of such a connection run in goroutines, and a deadline ends the wait for
// them. A read that is given up goes on, and the next Read gets what it brings: nothing is
// lost. A write that is given up goes on too, and nothing overtakes it.
package deadline
