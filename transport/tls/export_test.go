package tls

// What the external tests use of the tests in this package.
var (
	Configs     = configs
	Connect     = connect
	Move        = move
	EachVersion = eachVersion
	Plaintext   = plaintext
)

// EndInput ends the stream that m receives with err.
func (m *fakeTransport) EndInput(err error) { m.in.end(err) }
