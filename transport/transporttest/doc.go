// Package transporttest holds a transport to what package transport promises. Every transport of
// this module passes it, and it is meant for those of others too.
package transporttest
