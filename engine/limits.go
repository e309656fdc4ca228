package engine

// Limits bounds what a Decoder accepts. WithDefaults replaces zero and negative values. A message
// that exceeds a limit ends in a *LimitError that names the field.
type Limits struct {
	// MessageSize bounds the payload of one message, including all fragments, in bytes. The
	// declared length of a frame counts before its payload arrives. Default: 16 MiB. Close code
	// 1009.
	MessageSize int64

	// FrameSize bounds the payload of one data frame, in bytes. Default: none but MessageSize.
	// Close code 1009.
	FrameSize int64

	// InflatedSize bounds the payload of one compressed message after inflation, in bytes; so does
	// MessageSize. Default: none but MessageSize. Close code 1009.
	InflatedSize int64

	// InflationRatio bounds how many bytes one byte of a compressed message may inflate to, on
	// average. It applies once a message has inflated to more than 1 MiB. Default: 1100, which
	// deflate can't exceed, as its maximum is 1032. Close code 1009.
	InflationRatio int

	// Fragments bounds the number of frames of one message. Default: 4096, or one for each 32 bytes
	// of payload, if that is more. Close code 1008.
	Fragments int
}

// The defaults of Limits.
const (
	DefaultMessageSize    = 16 << 20
	DefaultInflationRatio = 1100
	DefaultFragments      = 4096 // of a message of up to 128 KiB; see Limits.Fragments
)

// Unlimited means no limit, in the result of WithDefaults.
const Unlimited = 1<<63 - 1

// WithDefaults returns l with each zero replaced by its default and each negative value by the
// largest. The default of Fragments isn't a number, so 0 stays.
func (l Limits) WithDefaults() Limits {
	return Limits{
		MessageSize:    orDefault(l.MessageSize, DefaultMessageSize),
		FrameSize:      orDefault(l.FrameSize, Unlimited),
		InflatedSize:   orDefault(l.InflatedSize, Unlimited),
		InflationRatio: intOrDefault(l.InflationRatio, DefaultInflationRatio),
		Fragments:      intOrDefault(l.Fragments, 0),
	}
}

func orDefault(value, byDefault int64) int64 {
	switch {
	case value == 0:
		return byDefault
	case value < 0:
		return Unlimited
	}
	return value
}

const maxInt = int(^uint(0) >> 1)

func intOrDefault(value, byDefault int) int {
	return int(min(orDefault(int64(value), int64(byDefault)), int64(maxInt)))
}

// maxFragments returns how many frames a message with that much payload may have.
func (l *Limits) maxFragments(payload int64) int64 {
	const leastAverage = 32
	if l.Fragments == 0 {
		return max(DefaultFragments, payload/leastAverage)
	}
	return int64(l.Fragments)
}

// maxPayload returns how much payload a message may have as received. Incompressible payload
// becomes larger by the overhead of blocks and flushes, so a compressed message may be larger than
// MessageSize.
func (l *Limits) maxPayload(compressed bool) int64 {
	most := l.MessageSize
	if !compressed {
		return most
	}
	return most + min(most>>6+64<<10, Unlimited-most)
}

// maxInflated returns how many bytes a message may inflate to.
func (l *Limits) maxInflated() int64 { return min(l.MessageSize, l.InflatedSize) }

// checkInflated checks a message of which deflated bytes have inflated to size bytes.
func (l *Limits) checkInflated(size, deflated int64) error {
	switch {
	case size > l.MessageSize:
		return &LimitError{Limit: "MessageSize", Max: l.MessageSize, Code: CloseMessageTooBig}
	case size > l.InflatedSize:
		return &LimitError{Limit: "InflatedSize", Max: l.InflatedSize, Code: CloseMessageTooBig}
	case size > ratioExempt && size/int64(l.InflationRatio) > deflated:
		return &LimitError{Limit: "InflationRatio", Max: int64(l.InflationRatio), Code: CloseMessageTooBig}
	}
	return nil
}
