// Package endpoint turns what a user writes, a URL or a host, a port and a path, into the
// address to dial, the Host header and the request target. Everything that connects uses it,
// so that one spelling means the same everywhere.
package endpoint
