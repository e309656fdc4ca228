// Package server is the peer of every client that is compared: it echoes, and
// broadcasts when asked to. It is written by hand and shares no code with any of
// them, so that it favours none.
package server
