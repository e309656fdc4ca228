//go:build js

package websock

// A browser gives WebAssembly no sockets: use its own WebSocket there. Without this
// line the package would build, and fail at run time.
var _ = websock_does_not_support_js_use_the_browsers_own_WebSocket
