// Package interop tests websock against WebSocket servers and clients of other projects. It is a
// module of its own, so that users of websock don't inherit their dependencies.
package interop
