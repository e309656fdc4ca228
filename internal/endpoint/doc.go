// Package endpoint parses URLs, or host, port and path, into the address to dial, the Host header and
// the request target. Dial, Open, redirects, proxies, package fanout and the program use it, so a
// spelling means the same everywhere.
package endpoint
