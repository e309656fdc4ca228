// Package interop tests websock against WebSocket servers that others wrote. It is a
// module of its own, so that users of websock inherit none of them.
package interop
