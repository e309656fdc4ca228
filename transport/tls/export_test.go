package tls

// Helpers of this package's tests that the tests outside of it use too.
var (
	Configs     = configs
	Connect     = connect
	Move        = move
	EachVersion = eachVersion
	Plaintext   = plaintext
)

// EndInput ends the stream that m receives, with err.
func (m *memory) EndInput(err error) { m.in.end(err) }
