//go:build linux

package server

// Addresses says where a server listens, all of it on the loopback interface.
type Addresses struct {
	Plain       []string // any of them
	Secure      string
	Certificate []byte // DER, self-signed: of Secure
}

// A Server listens.
type Server struct {
	loop   *loop
	secure *secure
}

// Listen begins to listen. broadcastSize is the payload of a broadcast, in bytes.
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

// Addresses says where s listens.
func (s *Server) Addresses() Addresses {
	return Addresses{
		Plain:       s.loop.addresses(),
		Secure:      s.secure.address(),
		Certificate: s.secure.certificate,
	}
}

// Serve serves until it can't any more.
func (s *Server) Serve() error {
	failed := make(chan error, 1)
	go func() { failed <- s.secure.run() }()
	go func() { failed <- s.loop.run() }()
	return <-failed
}
