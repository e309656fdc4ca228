// Package differential holds a fuzz target that compares what this module, gobwas/ws and
// gorilla/websocket make of the same bytes. Where they differ, the difference is named and
// the place in RFC 6455 that decides it.
package differential
