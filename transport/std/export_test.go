package std

// What tests of the package from outside need of its inside.
const (
	ReadSize     = readSize
	FullReadSize = fullReadSize
	WaitSize     = waitSize
	FullWaitSize = fullWaitSize
	RecheckDelay = recheckDelay
)

func (c *Conn) HasDescriptor() bool { return c.raw != nil }
func (c *Conn) HoldsBuffer() bool   { return c.viewBuf != nil }
func (c *Conn) HoldsView() bool     { return c.view != nil }
