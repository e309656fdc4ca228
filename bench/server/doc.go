// Package server is the peer of all clients that are compared. It echoes, and broadcasts on request. It
// is hand-written and shares no code with any client, so that it favours none.
//
// Where WebSockets share connections, with HTTP/2, the peer of all is a Shared, which is websock.
package server
