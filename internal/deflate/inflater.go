package deflate

import (
	"encoding/binary"
	"errors"
)

// ErrCorrupt is what Inflate returns for input that is no DEFLATE stream, or that refers to bytes
// before the history. Later calls return it, too.
var ErrCorrupt = errors.New("corrupt deflate stream")

// A step is what the next bits are part of.
type step uint8

const (
	blockHeader step = iota
	storedSize
	storedData
	codeCounts // of a block with dynamic codes
	sizeCodes  // sizes of the codes for sizes
	codeSizes  // sizes of the codes
	data
	broken
)

// An Inflater inflates a DEFLATE stream. Input and output may be split at any byte. Its zero value is
// ready for the start of a stream. It doesn't retain its arguments and doesn't allocate. It must not be
// used by several goroutines at once.
type Inflater struct {
	bits  uint64 // read and not used yet, the first one lowest; zero above have
	have  uint   // number of bits
	step  step
	final bool // the current block is marked as the last
	fixed bool // it has the fixed codes

	length, distance int // the part of a match that did not fit in the output
	stored           int // remaining bytes of a stored block

	// Of a block with dynamic codes: their numbers, and their sizes as far as known.
	literals, distances, sizeCodes, known int
	sizes                                 [maxLiterals + maxDistances]uint8

	literal, distant code
	literalTable     [1 << literalBits]symbol
	distantTable     [1 << distanceBits]symbol
}

// A flow is the input and the output of one call.
type flow struct {
	dst, src      []byte
	written, read int
	dict          *History
	needsMore     bool // more input
}

// Reset prepares f for the start of another stream.
func (f *Inflater) Reset() {
	f.bits, f.have, f.step, f.final, f.length = 0, 0, blockHeader, false, 0
}

// AtEnd reports, when Inflate needs more input, whether a message can end here: in a stored block,
// before its lengths, which the sender has removed (RFC 7692 section 7.2.1); or between two blocks,
// for a sender that has not, or whose block was final.
func (f *Inflater) AtEnd() bool {
	return f.step == storedSize && f.have == 0 || f.step == blockHeader
}

// Inflate inflates from src to dst, and returns the number of bytes written and read. It stops when
// it needs more input and has read all of src, or when dst is full. dict holds the output of earlier
// calls; the caller appends that of this one.
//
// A final block doesn't end the stream: another one may begin with the next byte (RFC 7692 section
// 7.2.3.4).
func (f *Inflater) Inflate(dst, src []byte, dict *History) (written, read int, needsMore bool, err error) {
	io := flow{dst: dst, src: src, dict: dict}
	for f.advance(&io) {
	}
	if f.step == broken {
		err = ErrCorrupt
	}
	return io.written, io.read, io.needsMore, err
}

// advance does one step as far as possible, and reports whether it was completed.
func (f *Inflater) advance(io *flow) bool {
	io.needsMore = false
	switch f.step {
	case blockHeader:
		return f.beginBlock(io)
	case storedSize:
		return f.readStoredSize(io)
	case storedData:
		return f.copyStored(io)
	case codeCounts:
		return f.readCounts(io)
	case sizeCodes:
		return f.readSizeCodes(io)
	case codeSizes:
		return f.readSizes(io)
	case data:
		return f.decode(io)
	}
	return false
}

// fail marks the stream as corrupt.
func (f *Inflater) fail() bool {
	f.step = broken
	return false
}

// need reads input until there are n bits, at most 56, and reports whether there are.
func (f *Inflater) need(io *flow, n uint) bool {
	for f.have < n {
		if io.read == len(io.src) {
			io.needsMore = true
			return false
		}
		f.bits |= uint64(io.src[io.read]) << f.have
		f.have += 8
		io.read++
	}
	return true
}

// take returns the next n bits, which need has read.
func (f *Inflater) take(n uint) int {
	value := f.bits & (1<<n - 1)
	f.bits >>= n
	f.have -= n
	return int(value)
}

func (f *Inflater) beginBlock(io *flow) bool {
	if !f.need(io, 3) {
		return false
	}
	f.final = f.take(1) == 1
	switch f.take(2) {
	case 0:
		f.take(f.have & 7)
		f.step = storedSize
	case 1:
		f.fixed = true
		f.step = data
	case 2:
		f.fixed = false
		f.step = codeCounts
	default:
		return f.fail()
	}
	return true
}

func (f *Inflater) endBlock() bool {
	if f.final {
		f.take(f.have & 7)
	}
	f.step = blockHeader
	return true
}

func (f *Inflater) readStoredSize(io *flow) bool {
	if !f.need(io, 32) {
		return false
	}
	size, complement := f.take(16), f.take(16)
	if size^complement != 0xffff {
		return f.fail()
	}
	f.stored = size
	f.step = storedData
	return true
}

func (f *Inflater) copyStored(io *flow) bool {
	for f.stored > 0 {
		room := io.dst[io.written:]
		room = room[:min(len(room), f.stored)]
		n := 0
		if f.have > 0 && len(room) > 0 { // whole bytes
			room[0] = byte(f.take(8))
			n = 1
		} else {
			n = copy(room, io.src[io.read:])
			io.read += n
		}
		if n == 0 {
			io.needsMore = len(room) > 0
			return false
		}
		f.stored -= n
		io.written += n
	}
	return f.endBlock()
}

func (f *Inflater) readCounts(io *flow) bool {
	if !f.need(io, 5+5+4) {
		return false
	}
	f.literals, f.distances, f.sizeCodes = 257+f.take(5), 1+f.take(5), 4+f.take(4)
	if f.literals > maxLiterals || f.distances > maxDistances {
		return f.fail()
	}
	clear(f.sizes[:len(sizeOrder)])
	f.known = 0
	f.step = sizeCodes
	return true
}

// readSizeCodes reads the sizes of the codes for sizes.
func (f *Inflater) readSizeCodes(io *flow) bool {
	for f.known < f.sizeCodes {
		if !f.need(io, 3) {
			return false
		}
		f.sizes[sizeOrder[f.known]] = uint8(f.take(3))
		f.known++
	}
	if !f.literal.build(f.literalTable[:1<<sizeBits], sizeSymbols[:], f.sizes[:len(sizeOrder)]) {
		return f.fail()
	}
	f.known = 0
	f.step = codeSizes
	return true
}

// readSizes reads the sizes of all codes, which are encoded themselves.
func (f *Inflater) readSizes(io *flow) bool {
	all := f.literals + f.distances
	for f.known < all {
		enough := f.need(io, sizeBits+7)
		s := f.literalTable[f.bits&(1<<sizeBits-1)]
		if !enough && s.codeSize()+s.extraBits() > f.have {
			return false
		}
		f.take(s.codeSize())
		size, times := uint8(s.value()), 1
		switch s.kind() {
		case invalid:
			return f.fail()
		case base:
			size, times = 0, s.value()+f.take(s.extraBits())
		case previous:
			if f.known == 0 {
				return f.fail()
			}
			size, times = f.sizes[f.known-1], s.value()+f.take(s.extraBits())
		}
		if f.known+times > all {
			return f.fail()
		}
		for range times {
			f.sizes[f.known] = size
			f.known++
		}
	}
	return f.buildCodes()
}

func (f *Inflater) buildCodes() bool {
	literalSizes, distanceSizes := f.sizes[:f.literals], f.sizes[f.literals:f.literals+f.distances]
	if !f.literal.build(f.literalTable[:], literalSymbols[:], literalSizes) ||
		!f.distant.build(f.distantTable[:], distanceSymbols[:], distanceSizes) {
		return f.fail()
	}
	f.step = data
	return true
}

// decode decodes the data of a block. It reads a literal, or a length with its distance, only as a
// whole.
func (f *Inflater) decode(io *flow) (done bool) {
	if !f.copyMatch(io) {
		return false
	}
	literals, distances := &f.literalTable, &f.distantTable
	if f.fixed {
		literals, distances = &fixedLiterals, &fixedDistances
	}
	dst, src, written, read := io.dst, io.src, io.written, io.read
	bits, have := f.bits, f.have
loop:
	for {
		if have < maxSymbolBits {
			if len(src)-read >= 8 {
				bits |= binary.LittleEndian.Uint64(src[read:]) << (have & 63)
				read += int((63 - have) >> 3)
				have |= 56 // the bits above may be read again
			} else {
				for have < 56 && read < len(src) {
					bits |= uint64(src[read]) << (have & 63)
					have += 8
					read++
				}
			}
		}
		s := literals[bits&(1<<literalBits-1)]
		if s.kind() == long {
			s = f.literal.find(bits, literalBits)
		}
		size := s.codeSize()
		if s.kind() == literal {
			if size > have {
				io.needsMore = true
				break
			}
			if written == len(dst) {
				break
			}
			dst[written] = byte(s.value())
			written++
			bits >>= size & 63
			have -= size
			continue
		}
		if size > have {
			io.needsMore = true
			break
		}
		switch s.kind() {
		case endOfData:
			bits >>= size & 63
			have -= size
			done = true
			break loop
		case invalid:
			f.step = broken
			break loop
		}
		rest := bits >> (size & 63)
		length := s.value() + int(rest&(1<<s.extraBits()-1))
		rest >>= s.extraBits()
		t := distances[rest&(1<<distanceBits-1)]
		if t.kind() == long {
			t = f.distant.find(rest, distanceBits)
		}
		size += s.extraBits() + t.codeSize() + t.extraBits()
		if size > have {
			io.needsMore = true
			break
		}
		rest >>= t.codeSize()
		distance := t.value() + int(rest&(1<<t.extraBits()-1))
		if t.kind() == invalid || distance > io.dict.size || distance > io.dict.Len()+written {
			f.step = broken
			break
		}
		bits >>= size & 63
		have -= size
		if distance <= written && length <= len(dst)-written {
			for from := written - distance; length > 0; {
				n := copy(dst[written:written+length], dst[from:written])
				written += n
				length -= n
			}
			continue
		}
		io.written, f.length, f.distance = written, length, distance
		copied := f.copyMatch(io)
		written = io.written
		if !copied {
			break
		}
	}
	io.written, io.read = written, read
	f.bits, f.have = bits&(1<<have-1), have
	return done && f.endBlock()
}

// copyMatch copies the rest of a match, and reports whether it fit.
func (f *Inflater) copyMatch(io *flow) bool {
	for f.length > 0 {
		room := io.dst[io.written:]
		room = room[:min(len(room), f.length)]
		if len(room) == 0 {
			return false
		}
		n := 0
		if earlier := f.distance - io.written; earlier > 0 {
			n = io.dict.copyTo(room, earlier)
		} else {
			n = copy(room, io.dst[io.written-f.distance:io.written])
		}
		io.written += n
		f.length -= n
	}
	return true
}
