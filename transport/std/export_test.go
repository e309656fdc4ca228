package std

// What tests of the package from outside need of its inside.
const (
	ReadSize     = readSize
	FullSize     = fullSize
	WaitSize     = waitSize
	FullWaitSize = fullWaitSize
	LookAgain    = lookAgain
)

func (t *Conn) HasDescriptor() bool { return t.raw != nil }
func (t *Conn) HoldsBuffer() bool   { return t.staging != nil }
func (t *Conn) HoldsView() bool     { return t.view != nil }
