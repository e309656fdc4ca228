// Package sendbuf asks the system how much of what was written to a socket the peer's system
// has not acknowledged yet.
package sendbuf
