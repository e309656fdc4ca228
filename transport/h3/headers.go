package h3

import (
	"bytes"
	"fmt"
	"io"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport"
)

// appendHeaders appends a HEADERS frame. It uses no dynamic table, so nothing of a header stays behind.
func appendHeaders(b []byte, fields []hpack.HeaderField) ([]byte, error) {
	var block bytes.Buffer
	e := qpack.NewEncoder(&block)
	for _, f := range fields {
		if err := e.WriteField(qpack.HeaderField{Name: f.Name, Value: f.Value}); err != nil {
			return b, err
		}
	}
	return append(appendFrameHeader(b, frameHeaders, block.Len()), block.Bytes()...), nil
}

// maxInformational is how many responses of 1xx may precede the final one.
const maxInformational = 10

// readHead reads the head of a final response. It is truncated if its list is larger than maxSize, each
// field counted with 32 bytes more than it has (RFC 9114 section 4.2.2).
func readHead(str io.Reader, maxSize int) (transport.StreamHead, error) {
	for range maxInformational {
		head, err := readHeaders(str, maxSize)
		if err != nil || !isInformational(head) {
			return head, err
		}
	}
	return transport.StreamHead{}, &StreamError{Code: http3.ErrCodeExcessiveLoad, Rule: "too many informational responses"}
}

// isInformational reports whether a response is not the final one.
func isInformational(h transport.StreamHead) bool {
	if len(h.Fields) == 0 || h.Fields[0].Name != ":status" {
		return false
	}
	status := h.Fields[0].Value
	return len(status) == 3 && status[0] == '1'
}

// readHeaders reads a HEADERS frame.
func readHeaders(str io.Reader, maxSize int) (head transport.StreamHead, err error) {
	counter := &countingReader{Reader: str}
	defer func() {
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			err = counter.endOfStream()
		}
	}()
	r := quicvarint.NewReader(counter)
	for {
		counter.n = 0
		frameType, err := quicvarint.Read(r)
		if err != nil {
			return head, err
		}
		length, err := quicvarint.Read(r)
		if err != nil {
			return head, err
		}
		switch {
		case frameType == frameHeaders && length > uint64(maxSize):
			return transport.StreamHead{Truncated: true}, nil
		case frameType == frameHeaders:
			block := make([]byte, length)
			if _, err := io.ReadFull(r, block); err != nil {
				return head, err
			}
			return decodeHeaders(block, maxSize)
		case isKnown(frameType):
			return head, &violation{http3.ErrCodeFrameUnexpected, fmt.Sprintf("frame of type %#x before the response (RFC 9114 section 4.1)", frameType)}
		}
		if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
			return head, err
		}
	}
}

// A countingReader counts what it reads of a frame.
type countingReader struct {
	io.Reader
	n int
}

func (r *countingReader) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	r.n += n
	return n, err
}

// endOfStream returns the error for the end of the stream.
func (r *countingReader) endOfStream() error {
	if r.n > 0 {
		return errCutOff
	}
	return io.ErrUnexpectedEOF
}

// decodeHeaders decodes a block of fields.
func decodeHeaders(block []byte, maxSize int) (head transport.StreamHead, err error) {
	next := qpack.NewDecoder().Decode(block)
	size := 0
	for {
		f, err := next()
		switch {
		case err == io.EOF:
			return head, nil
		case err != nil:
			return head, &violation{http3.ErrCodeQPACKDecompressionFailed, err.Error()}
		}
		field := hpack.HeaderField{Name: f.Name, Value: f.Value}
		if size += int(field.Size()); size > maxSize {
			head.Truncated = true
			return head, nil
		}
		head.Fields = append(head.Fields, field)
	}
}
