package engine

// A Role is the side of a connection that we play (RFC 6455 section 1.2). It
// decides which direction is masked (section 5.1).
type Role uint8

const (
	Client Role = iota // masks what it sends; refuses masked frames
	Server             // sends unmasked; demands masked frames
)

// String returns "client" or "server".
func (r Role) String() string {
	if r == Server {
		return "server"
	}
	return "client"
}
