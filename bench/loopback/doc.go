// Package loopback runs the clients of package client against the server of package
// server, each in a process and on a processor of its own, and says what they took.
//
// A program that uses it calls Main first: the processes are that same program again.
package loopback
