package netpoll

// Transport returns what websock.Config wants: a maker of transports.
func Transport() Maker { return Maker{} }

// A Maker makes transports of this package.
type Maker struct{}
