package engine

// Limits bounds what a Decoder accepts. WithDefaults gives the zero and negative values their
// meaning. A message that exceeds a limit ends in a *LimitError that names the field.
type Limits struct {
	// MessageSize bounds the payload of one message, all fragments together, in bytes. A
	// frame's declared length counts, before any of its payload has arrived. Default: 16 MiB.
	// Close code 1009.
	MessageSize int64

	// FrameSize bounds the payload of one data frame, in bytes. Default: no bound but
	// MessageSize. Close code 1009.
	FrameSize int64

	// InflatedSize bounds the payload of one compressed message, in bytes after inflating; so
	// does MessageSize. Default: no bound but that. Close code 1009.
	InflatedSize int64

	// InflationRatio bounds what a byte of a compressed message may become on the average.
	// It counts once a message has inflated to more than 1 MiB. Default: 1100, more than
	// deflate can reach, which is 1032. Close code 1009.
	InflationRatio int

	// Fragments bounds the number of frames of one message. Default: 4096, and beyond that as
	// many as have 32 bytes of payload each on the average. Close code 1008.
	Fragments int
}

// The defaults of Limits.
const (
	DefaultMessageSize    = 16 << 20
	DefaultInflationRatio = 1100
	DefaultFragments      = 4096 // of a message of up to 128 KiB; see Limits.Fragments
)

// Unlimited is the value of a limit that is none, after WithDefaults.
const Unlimited = 1<<63 - 1

// WithDefaults returns l with every zero replaced by its default and every negative value by the
// largest. The default of Fragments is no number: 0 stays.
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

// maxFragments returns how many frames a message with so much payload may have.
func (l *Limits) maxFragments(payload int64) int64 {
	const leastAverage = 32
	if l.Fragments == 0 {
		return max(DefaultFragments, payload/leastAverage)
	}
	return int64(l.Fragments)
}

// maxPayload returns how much payload a message may have as it arrives. A compressed one may be
// larger than what it inflates to, by what blocks and flushes take where nothing can be
// compressed.
func (l *Limits) maxPayload(compressed bool) int64 {
	most := l.MessageSize
	if !compressed {
		return most
	}
	return most + min(most>>6+64<<10, Unlimited-most)
}

// maxInflated returns how much a message may inflate to.
func (l *Limits) maxInflated() int64 { return min(l.MessageSize, l.InflatedSize) }

// checkInflated checks a message that has inflated to size bytes from so many deflated ones.
func (l *Limits) checkInflated(size, deflated int64) error {
	switch {
	case size > l.MessageSize:
		return &LimitError{Limit: "MessageSize", Max: l.MessageSize, Code: CloseMessageTooBig}
	case size > l.InflatedSize:
		return &LimitError{Limit: "InflatedSize", Max: l.InflatedSize, Code: CloseMessageTooBig}
	case size > freelyInflated && size/int64(l.InflationRatio) > deflated:
		return &LimitError{Limit: "InflationRatio", Max: int64(l.InflationRatio), Code: CloseMessageTooBig}
	}
	return nil
}
