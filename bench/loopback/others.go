//go:build linux

package loopback

import (
	"fmt"
	"os"
	"path/filepath"
)

// An other is a program in another language that others/Makefile builds.
type other struct {
	name     string
	language string
	needs    string // what has to be installed to build and run it
	server   bool   // there is one that is a server, too
}

var others = []other{
	{"tokio-tungstenite", "Rust", "cargo", true},
	{"tokio-websockets", "Rust", "cargo", true},
	{"fastwebsockets", "Rust", "cargo", true},
	{"sockudo-ws", "Rust", "cargo", true},
	{"beast", "C++", "g++ and libboost1.81-dev", false},
	{"libwebsockets", "C", "gcc and libwebsockets-dev", false},
	{"netty", "Java", "java and mvn", true},
	{"java-net-http", "Java", "java and mvn", false},
	{"ws", "JavaScript", "node and npm", true},
	{"bun", "JavaScript", "npm", false},
}

// Others returns the programs in other languages that the case is for, and why the rest of them is left
// out. They are in dir, where make others puts them; none is if that is empty.
func (c Case) Others(dir string) (found []Contestant, leftOut []string) {
	if dir == "" || c.Shared > 0 || c.Resumed || c.timesMessages() {
		return nil, nil
	}
	for _, o := range others {
		if c.Server && !o.server {
			continue
		}
		one, err := o.in(dir, c.Server)
		if err != nil {
			leftOut = append(leftOut, err.Error())
			continue
		}
		found = append(found, one)
	}
	return found, leftOut
}

// in returns the contestant in a directory.
func (o other) in(dir string, server bool) (Contestant, error) {
	name := o.name
	if server {
		name += "-server"
	}
	path, err := filepath.Abs(filepath.Join(dir, name))
	if err != nil {
		return Contestant{}, err
	}
	if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
		return Contestant{}, fmt.Errorf("%s is not built: make others (needs %s)", name, o.needs)
	}
	c := Contestant{Name: o.name, Language: o.language, command: []string{path}}
	if server {
		c.command = append(c.command, portWord)
	}
	return c, nil
}
