package main

import (
	"fmt"
	"strconv"
)

// ownServers are the echo servers that a fanout starts when it is given no URL: one for each
// of its processes, since the limit of open files is one of servers too.
type ownServers struct {
	children    []*child
	certificate *selfSigned // nil: they don't speak TLS
}

// startServers starts the servers, and trusts their certificate if they have one.
func (f *fanoutJob) startServers() (*ownServers, error) {
	s := &ownServers{}
	flags := []string{"-transport", f.transport, "-compress=" + strconv.FormatBool(f.compress)}
	if f.tls {
		var err error
		if s.certificate, err = newSelfSigned(""); err != nil {
			return nil, err
		}
		flags = append(flags, "-tls-cert", s.certificate.cert, "-tls-key", s.certificate.key)
		if f.ca == "" {
			f.ca = s.certificate.cert
		}
	}
	for range f.procs {
		child, url, err := startServer(f.err, flags...)
		if err != nil {
			s.stop()
			return nil, err
		}
		s.children = append(s.children, child)
		f.urls = append(f.urls, url)
	}
	return s, nil
}

// String says what they are.
func (s *ownServers) String() string {
	if len(s.children) == 1 {
		return "child process"
	}
	return fmt.Sprint(len(s.children), " child processes")
}

func (s *ownServers) stop() {
	for _, child := range s.children {
		child.stop()
	}
	if s.certificate != nil {
		s.certificate.remove()
	}
}
