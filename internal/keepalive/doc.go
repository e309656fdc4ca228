// Package keepalive decides, by what a connection sends and receives, when to ask its peer for a
// sign of life and when to treat the peer as dead. It knows nothing of connections but what the
// interface Conn says.
package keepalive
