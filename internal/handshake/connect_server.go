package handshake

import (
	"maps"
	"net/http"
)

// A StreamTaker is the http.ResponseWriter of a server of HTTP/2 whose handlers can take over the
// stream of their request, as handlers of HTTP/1.1 take over a connection with http.Hijacker. S is
// the type of the streams.
type StreamTaker[S any] interface {
	http.ResponseWriter

	// TakeStream sends the head of a response, and gives its stream to the caller, who may use it
	// after the handler has returned. What was not read of the request's body is read from the
	// stream. header is the whole header: nothing of what Header returns is added. The server may
	// change it. After an error there is no stream, and the handler can send no response.
	TakeStream(status int, header http.Header) (S, error)
}

// StreamTakerOf returns the StreamTaker that w is, or that it wraps: like http.ResponseController,
// StreamTakerOf calls Unwrap to get below the wrappers of middleware.
func StreamTakerOf[S any](w http.ResponseWriter) (StreamTaker[S], bool) {
	for {
		if taker, ok := w.(StreamTaker[S]); ok {
			return taker, true
		}
		below, ok := unwrapped(w)
		if !ok {
			return nil, false
		}
		w = below
	}
}

// unwrapped returns the http.ResponseWriter that w says it wraps.
func unwrapped(w http.ResponseWriter) (http.ResponseWriter, bool) {
	wrapper, ok := w.(interface{ Unwrap() http.ResponseWriter })
	if !ok {
		return nil, false
	}
	return wrapper.Unwrap(), true
}

// innermost returns the http.ResponseWriter below all wrappers that say what they wrap.
func innermost(w http.ResponseWriter) http.ResponseWriter {
	for {
		below, ok := unwrapped(w)
		if !ok {
			return w
		}
		w = below
	}
}

// AcceptStream is Accept for a server of HTTP/2 whose handlers can take over streams. taker is that
// of w, and gets the response that agrees; w gets the one that doesn't. The error is that of Accept,
// with the same statuses.
//
// The request must be as net/http's server makes it: the pseudo-header fields are Method, RequestURI
// (and URL), Host, and Header[":protocol"]; TLS is set if the :scheme is https; the ContentLength is
// -1 unless the client has sent one or has ended the stream; the names of the header are canonical.
func AcceptStream[S any](taker StreamTaker[S], w http.ResponseWriter, r *http.Request, o *ServerOptions) (stream S, result *Result, err error) {
	if o == nil {
		o = &ServerOptions{}
	}
	agreed, refusal := validateRequest(r, o)
	if refusal != nil {
		return stream, nil, decline(w, r, refusal)
	}
	stream, err = taker.TakeStream(http.StatusOK, streamHeader(taker.Header(), r, agreed, o))
	if err != nil {
		return stream, nil, &HandshakeError{Reason: "the response can't be sent", Err: err}
	}
	return stream, requestResult(r, agreed), nil
}

// contentHeaders describe a body. A response that agrees to a CONNECT has none, and must not have the
// first two of them (RFC 9110 section 9.3.6).
var contentHeaders = []string{"Content-Length", "Transfer-Encoding", "Content-Encoding", "Trailer"}

// streamHeader returns the header of a response of HTTP/2 that agrees: what middleware has set, less
// what has no meaning or no place there; over that what the server's options demand; over that what
// was agreed on.
func streamHeader(own http.Header, r *http.Request, agreed negotiated, o *ServerOptions) http.Header {
	h := http.Header{}
	maps.Copy(h, own)
	for _, name := range contentHeaders {
		delete(h, name)
	}
	for name, values := range o.Header {
		h[http.CanonicalHeaderKey(name)] = values
	}
	deleteConnectionSpecific(h)
	set := func(name, value string) {
		delete(h, name)
		if value != "" {
			h[name] = []string{value}
		}
	}
	set(headerProtocol, agreed.subprotocol)
	set(headerExtensions, agreed.extensions)
	set(headerAccept, "")
	// RFC 8441 section 5 needs neither, but some clients send a key as they do over HTTP/1.1, and wait for the
	// answer.
	if keys := r.Header[headerKey]; validKey(keys) {
		accept := acceptOf([]byte(keys[0]))
		set(headerAccept, string(accept[:]))
	}
	return h
}

// deleteConnectionSpecific deletes the headers that a response of HTTP/2 must not have.
func deleteConnectionSpecific(h http.Header) {
	for _, name := range connectionSpecific {
		delete(h, name)
	}
}
