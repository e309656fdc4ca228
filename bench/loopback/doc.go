// Package loopback runs the clients of package client against the server of package server, each in a
// process and on a processor of its own, and returns their costs.
//
// A program that uses it must call Main first: it starts itself again for the other processes.
package loopback
