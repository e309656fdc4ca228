package main

import (
	"errors"
	"fmt"
)

// An exitCode is an error that says nothing but what the program ends with.
type exitCode int

// What the program ends with; 0: all went well.
const (
	exitFailed      exitCode = 1
	exitMisused     exitCode = 2
	exitUnreachable exitCode = 3
	exitRefused     exitCode = 4
	exitLost        exitCode = 5
	exitClosed      exitCode = 6
	exitInterrupted exitCode = 130 // as shells have it: 128 and the number of the signal
)

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCodes says so in the help.
const exitCodes = "The exit code is\n" +
	"  0  when all went well\n" +
	"  1  when something failed\n" +
	"  2  when the command line can't be understood\n" +
	"  3  when there is no way to the server: no such name, nobody listens, no trust, a proxy declines\n" +
	"  4  when a server was reached and declines the opening handshake\n" +
	"  5  when the connection is lost, or the server breaks the protocol\n" +
	"  6  when the server closes with another code than 1000, 1001 or none\n" +
	"  130  when an interrupt ended it (serve: 0, since that is how it is told to end)"

// errReported says that the command failed and has said so itself.
const errReported = exitFailed

// codeOf returns what the program ends with after an error of a command, and whether the
// error has been reported.
func codeOf(err error) (code exitCode, reported bool) {
	if errors.As(err, &code) {
		return code, true
	}
	return exitFailed, false
}
