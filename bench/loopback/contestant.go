//go:build linux

package loopback

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/seed004e8d11/websock/bench/client"
	"github.com/seed004e8d11/websock/bench/echo"
)

// A Contestant is a client, or in cases with Server an echo server.
type Contestant struct {
	Name     string
	Language string // in which the library is written; "" if that is not known
	Ours     bool   // a failure is a bug of this repository

	command     []string // of a program; nil: it is a part of this one
	environment []string // of the program, in addition to that of this process
}

// inGo is the language of contestants that are packages.
const inGo = "Go"

// compileTime is the CPU time after which the code of a program that is compiled while it runs is fast.
// Netty takes a third less for a message after two seconds than after half of one.
const compileTime = 2 * time.Second

// compiledLate reports whether the contestant is compiled while it runs.
func (c Contestant) compiledLate() bool { return c.Language == "Java" || c.Language == "JavaScript" }

// warmed returns timing with a longer warm-up if the contestant needs one and is one of several that run at a time.
func (c Contestant) warmed(timing Timing, several int) Timing {
	if c.compiledLate() {
		timing.Warmup += compileTime * time.Duration(several)
	}
	return timing
}

// portWord stands for the port in a command.
const portWord = "PORT"

// Program returns a server that is a program. It is started with a free port of 127.0.0.1 as its last
// argument, or wherever an argument ends with PORT.
func Program(command string) (Contestant, error) {
	words := strings.Fields(command)
	if len(words) == 0 {
		return Contestant{}, fmt.Errorf("no program in %q", command)
	}
	if !slices.ContainsFunc(words[1:], hasPort) {
		words = append(words, portWord)
	}
	name := slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == portWord })
	name[0] = filepath.Base(name[0])
	return Contestant{Name: strings.Join(name, " "), command: words}, nil
}

func hasPort(argument string) bool { return strings.HasSuffix(argument, portWord) }

// commandFor returns the program and its arguments for a port.
func (c Contestant) commandFor(port string) []string {
	words := slices.Clone(c.command)
	for i := 1; i < len(words); i++ {
		if hasPort(words[i]) {
			words[i] = strings.TrimSuffix(words[i], portWord) + port
		}
	}
	return words
}

// Find returns the contestant of that name.
func (c Case) Find(name string) (Contestant, error) {
	if c.Server {
		found, err := echo.Find(name)
		return Contestant{Name: found.Name, Language: inGo, Ours: found.Ours}, err
	}
	inner, outside := strings.CutPrefix(name, outsidePrefix)
	found, err := client.Find(inner)
	one := Contestant{Name: found.Name, Language: inGo, Ours: found.Ours}
	if err == nil && outside {
		one, err = outsideContestant(one)
		one.Name = name
	}
	return one, err
}

// Contestants returns those that are compared unless others are asked for.
func (c Case) Contestants() (all []Contestant) {
	if c.Server {
		for _, one := range echo.Contestants() {
			if one.Shares != (c.Shared > 0) {
				continue
			}
			all = append(all, Contestant{Name: one.Name, Language: inGo, Ours: one.Ours})
		}
		return all
	}
	for _, one := range slices.DeleteFunc(client.Contestants(), c.leavesOut) {
		all = append(all, Contestant{Name: one.Name, Language: inGo, Ours: one.Ours})
	}
	return all
}

// leavesOut reports whether a client is compared only if it is asked for.
func (c Case) leavesOut(one client.Contestant) bool {
	switch {
	case !one.Can(c.Compression), c.Resumed && one.Name == "nbio": // which has TLS of its own
		return true
	case c.Shared == 0:
		return one.Variant || one.Shares
	case one.Shares:
		return c.timesMessages() && !one.Ours
	}
	return one.Name != "websock-epoll" || c.timesMessages()
}
