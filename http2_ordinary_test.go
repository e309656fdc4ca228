package websock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An ordinaryRequest is a request that is sent to net/http's own HTTP/2 server and to ours.
type ordinaryRequest struct {
	name    string
	fields  string // lines "name: value"; those of GET http://example.com/ are added if they are missing
	bare    bool   // nothing is added
	body    []string
	trailer string
	open    bool             // END_STREAM is not sent
	handler http.HandlerFunc // nil: tellRequest
}

// differences are the requests to which the answers differ, and why.
var differences = map[string]string{
	// We reset the stream of a malformed request (RFC 9113 section 8.1.1), where net/http serves it
	// or answers with status 400.
	"absolute":             "the path is no URL",
	"host other":           "it must not differ from :authority",
	"two hosts":            "there must not be two",
	"authority slash":      "it is checked like Host",
	"authority space":      "it is checked like Host",
	"authority empty":      "a field that is there must not be empty",
	"authority UTF-8":      "it is checked like Host",
	"method space":         "it must be a token",
	"value leading space":  "RFC 9113 section 8.2.1",
	"value trailing space": "RFC 9113 section 8.2.1",
	"connection":           "RFC 9113 section 8.2.2",
	"keep-alive":           "RFC 9113 section 8.2.2",
	"proxy-connection":     "RFC 9113 section 8.2.2",
	"transfer-encoding":    "RFC 9113 section 8.2.2",
	"upgrade":              "RFC 9113 section 8.2.2",
	"te gzip":              "RFC 9113 section 8.2.2",
	"te both":              "RFC 9113 section 8.2.2",
	"te empty":             "RFC 9113 section 8.2.2",
	"length 5 no body":     "the length must be that of the body",
	"post short":           "the length must be that of the body",
	"two lengths":          "there must not be two",

	// Header.Host is removed, as over HTTP/1.1.
	"host equal": "", "host case": "", "host only": "", "empty host": "",

	"te twice":            "both values are allowed",
	"length 0 with body":  "what nobody reads is not checked",
	"trailer connection":  "it was not announced, and is ignored",
	"expect without body": "nothing is to be continued",
	"CONNECT":             "a response that accepts it has no length (RFC 9110 section 9.3.6)",
	"204 with body":       "a response without content has no length (RFC 9110 section 8.6)",
	"header":              "white space around a value is not sent (RFC 9113 section 8.2.1)",
	"connection headers":  "they are not sent (RFC 9113 section 8.2.2)",
	"too long":            "what is longer than the Content-Length is not sent",
	"status 101":          "HTTP/2 does not have it (RFC 9113 section 8.6)",
	"interfaces":          "we push nothing",
	"push":                "we push nothing",
	"body closed":         "the error is that of HTTP/1.1",
}

func TestOrdinaryRequestsAreServedAsByNetHTTP(t *testing.T) {
	for _, r := range slices.Concat(ordinaryRequests, ordinaryResponses) {
		t.Run(r.name, func(t *testing.T) {
			theirs := r.send(t, serveOrdinary(t, r.handler, func(*http.Server) error { return nil }))
			ours := r.send(t, serveOrdinary(t, r.handler, ConfigureServer))
			switch why, differ := differences[r.name]; {
			case theirs != ours && !differ:
				t.Errorf("net/http answers\n%s\nwe answer\n%s", theirs, ours)
			case theirs == ours && differ:
				t.Errorf("both answer\n%s\nbut they should differ: %s", ours, why)
			}
		})
	}
}

// serveOrdinary starts a server, and returns its address.
func serveOrdinary(t *testing.T, h http.HandlerFunc, configure func(*http.Server) error) string {
	if h == nil {
		h = tellRequest
	}
	s := &http.Server{Handler: h, Protocols: new(http.Protocols), ErrorLog: log.New(io.Discard, "", 0)}
	s.Protocols.SetUnencryptedHTTP2(true)
	if err := configure(s); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return l.Addr().String()
}

// tellRequest answers with what a handler sees of the request.
func tellRequest(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %s %s host %q URL %+v length %d TE %v close %v\n", r.Method, r.RequestURI, r.Proto, r.Host, *r.URL, r.ContentLength, r.TransferEncoding, r.Close)
	fmt.Fprintf(w, "header %v body %q error %v trailer %v", r.Header, body, err, r.Trailer)
}

// send sends the request, and returns the answer as text.
func (r *ordinaryRequest) send(t *testing.T, addr string) string {
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	framer.WriteSettings()
	fields := r.fields
	for _, f := range []string{":path: /", ":authority: example.com", ":scheme: http", ":method: GET"} {
		name := f[:strings.LastIndex(f, ":")+1]
		if !r.bare && !strings.Contains("\n"+fields, "\n"+name) {
			fields = f + "\n" + fields
		}
	}
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encodeLines(fields), EndHeaders: true, EndStream: !r.open && r.body == nil && r.trailer == ""})
	for i, piece := range r.body {
		framer.WriteData(1, !r.open && r.trailer == "" && i == len(r.body)-1, []byte(piece))
	}
	if r.trailer != "" {
		framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: encodeLines(r.trailer), EndHeaders: true, EndStream: true})
	}
	return r.receive(framer)
}

// encodeLines encodes lines "name: value" as they are.
func encodeLines(lines string) []byte {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for line := range strings.SplitSeq(strings.TrimSuffix(lines, "\n"), "\n") {
		colon := strings.Index(line[1:], ":") + 1
		encoder.WriteField(hpack.HeaderField{Name: line[:colon], Value: strings.TrimPrefix(line[colon+1:], " ")})
	}
	return block.Bytes()
}

// receive returns the answer: its heads with sorted fields, its body, and how it ends.
func (r *ordinaryRequest) receive(framer *http2.Framer) string {
	var heads, body strings.Builder
	end := func(how string) string { return heads.String() + "body " + body.String() + "\n" + how }
	for {
		f, err := framer.ReadFrame()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return end("nothing more")
		case err != nil:
			return end("the connection ends")
		}
		ended := false
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			var lines []string
			for _, x := range f.Fields {
				if x.Name == "date" && len(x.Value) == len(http.TimeFormat) {
					x.Value = "now"
				}
				lines = append(lines, x.Name+": "+x.Value)
			}
			slices.Sort(lines)
			heads.WriteString("head " + strings.Join(lines, ", ") + "\n")
			ended = f.StreamEnded()
		case *http2.DataFrame:
			body.Write(f.Data())
			framer.WriteWindowUpdate(0, uint32(len(f.Data()))+1)
			framer.WriteWindowUpdate(1, uint32(len(f.Data()))+1)
			ended = f.StreamEnded()
		case *http2.RSTStreamFrame:
			return end("reset with " + f.ErrCode.String())
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeNo { // which may come after the end
				return end("GOAWAY with " + f.ErrCode.String())
			}
		}
		if ended && !r.open { // if it is open, a reset follows
			return end("END_STREAM")
		}
	}
}
