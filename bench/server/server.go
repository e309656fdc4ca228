//go:build linux

package server

// Addresses are the addresses of a server, all on the loopback interface.
type Addresses struct {
	Plain       []string // equivalent
	Secure      string
	Certificate []byte // of Secure, self-signed, DER
}

// A Server echoes and broadcasts.
type Server struct {
	loop   *loop
	secure *secure
}

// Listen returns a Server that listens. broadcastSize is the size of the payload of a broadcast in
// bytes.
func Listen(broadcastSize int) (*Server, error) {
	loop, err := newLoop(broadcastSize)
	if err != nil {
		return nil, err
	}
	secure, err := newSecure(broadcastSize)
	if err != nil {
		return nil, err
	}
	return &Server{loop, secure}, nil
}

// Addresses returns the addresses of s.
func (s *Server) Addresses() Addresses {
	return Addresses{
		Plain:       s.loop.addresses(),
		Secure:      s.secure.address(),
		Certificate: s.secure.certificate,
	}
}

// Serve serves until an error occurs.
func (s *Server) Serve() error {
	failed := make(chan error, 1)
	go func() { failed <- s.secure.run() }()
	go func() { failed <- s.loop.run() }()
	return <-failed
}
