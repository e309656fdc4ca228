package handshake

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/seed004e8d11/websock/engine"
)

// compression returns a Compression with these parameters.
func compression(sendTakeover, recvTakeover bool, sendBits, recvBits int) engine.Compression {
	return engine.Compression{
		Level: 1, SendTakeover: sendTakeover, RecvTakeover: recvTakeover,
		SendWindowBits: sendBits, RecvWindowBits: recvBits,
	}
}

func TestClientOffersTheRequestedCompression(t *testing.T) {
	for _, test := range []struct {
		requested engine.Compression
		want      string
	}{
		{engine.Compression{}, ""},
		{engine.Compression{SendTakeover: true, SendWindowBits: 9}, ""},
		{compression(true, true, 0, 0), "permessage-deflate; client_max_window_bits"},
		{compression(false, true, 15, 15), "permessage-deflate; client_no_context_takeover; client_max_window_bits"},
		{compression(true, false, 15, 15), "permessage-deflate; server_no_context_takeover; client_max_window_bits"},
		{compression(true, true, 8, 15), "permessage-deflate; client_max_window_bits=8"},
		{compression(true, true, 15, 9), "permessage-deflate; server_max_window_bits=9; client_max_window_bits" +
			", permessage-deflate; server_no_context_takeover; client_max_window_bits"},
		{compression(true, true, 15, 8), "permessage-deflate; server_max_window_bits=9; client_max_window_bits" +
			", permessage-deflate; server_no_context_takeover; client_max_window_bits"},
		{engine.DefaultCompression, "permessage-deflate; server_max_window_bits=11; client_max_window_bits=11" +
			", permessage-deflate; server_no_context_takeover; client_max_window_bits=11"},
	} {
		if got := offerHeader(test.requested); got != test.want {
			t.Errorf("%+v: %q, want %q", test.requested, got, test.want)
		}
	}
}

func TestClientChecksTheCompressionOfTheResponse(t *testing.T) {
	requested := compression(true, true, 0, 0)
	small := compression(true, true, 11, 11)
	for _, test := range []struct {
		requested engine.Compression
		response  string
		want      engine.Compression
		wrong     string // a part of the error; "": there is none
	}{
		{requested, "", engine.Compression{}, ""},
		{requested, "permessage-deflate", compression(true, true, 15, 15), ""},
		{requested, `permessage-deflate; client_max_window_bits="10"`, compression(true, true, 10, 15), ""},
		{requested, "permessage-deflate ;server_max_window_bits = 12;\tclient_no_context_takeover", compression(false, true, 15, 12), ""},
		{requested, ", permessage-deflate; server_no_context_takeover,", compression(true, false, 15, 15), ""},
		{requested, "permessage-deflate; client_max_window_bits=8; server_max_window_bits=8", compression(true, true, 8, 8), ""},
		{small, "permessage-deflate; server_max_window_bits=11", small, ""},
		{small, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=15", compression(true, true, 11, 9), ""},
		{small, "permessage-deflate; server_no_context_takeover", compression(true, false, 11, 15), ""},
		{small, "permessage-deflate; server_no_context_takeover; server_max_window_bits=13", compression(true, false, 11, 13), ""},

		{engine.Compression{}, "permessage-deflate", engine.Compression{}, "not offered"},
		{requested, "permessage-bzip2", engine.Compression{}, "not offered"},
		{requested, "permessage-deflate, permessage-deflate", engine.Compression{}, "not offered"},
		{requested, ",", engine.Compression{}, ""},
		{requested, "permessage-deflate; level=9", engine.Compression{}, "unknown"},
		{requested, "permessage-deflate; server_no_context_takeover; server_no_context_takeover", engine.Compression{}, "repeated"},
		{requested, "permessage-deflate; server_no_context_takeover=1", engine.Compression{}, "can't have the value"},
		{requested, "permessage-deflate; server_max_window_bits", engine.Compression{}, "can't have the value"},
		{requested, "permessage-deflate; server_max_window_bits=7", engine.Compression{}, "can't have the value"},
		{requested, "permessage-deflate; server_max_window_bits=16", engine.Compression{}, "can't have the value"},
		{requested, "permessage-deflate; server_max_window_bits=012", engine.Compression{}, "can't have the value"},
		{requested, "permessage-deflate; server_max_window_bits=+9", engine.Compression{}, "can't have the value"},
		{requested, "permessage-deflate; client_max_window_bits", engine.Compression{}, "no value"},
		{small, "permessage-deflate", engine.Compression{}, "doesn't fit"},
		{small, "permessage-deflate; server_max_window_bits=12", engine.Compression{}, "doesn't fit"},
		{compression(true, false, 15, 15), "permessage-deflate", engine.Compression{}, "doesn't fit"},
		{requested, "permessage-deflate; =9", engine.Compression{}, "malformed"},
		{requested, "permessage-deflate; client_max_window_bits=", engine.Compression{}, "malformed"},
		{requested, `permessage-deflate; client_max_window_bits="`, engine.Compression{}, "malformed"},
		{requested, `permessage-deflate; client_max_window_bits=""`, engine.Compression{}, "malformed"},
		{requested, "permessage-deflate;", engine.Compression{}, "malformed"},
		{requested, "permessage-deflate permessage-deflate", engine.Compression{}, "malformed"},
		{requested, "permessage-deflate\x00", engine.Compression{}, "malformed"},
	} {
		var values []string
		if test.response != "" {
			values = []string{test.response}
		}
		got, err := acceptResponse(test.requested, values)
		if test.wrong != "" {
			if err == nil || !strings.Contains(err.Error(), test.wrong) {
				t.Errorf("%q: %+v, %v; want an error: %s", test.response, got, err, test.wrong)
			}
			continue
		}
		if got != test.want || err != nil {
			t.Errorf("%q: %+v, %v; want %+v", test.response, got, err, test.want)
		}
	}
}

func TestServerAcceptsTheFirstValidOffer(t *testing.T) {
	requested := compression(true, true, 0, 0)
	small := compression(true, true, 10, 11)
	for _, test := range []struct {
		requested engine.Compression
		offers    string
		want      engine.Compression
		response  string
	}{
		{requested, "", engine.Compression{}, ""},
		{engine.Compression{}, "permessage-deflate", engine.Compression{}, ""},
		{engine.Compression{}, "\x00", engine.Compression{}, ""},
		{requested, "x-webkit-deflate-frame", engine.Compression{}, ""},
		{requested, "permessage-deflate", compression(true, true, 15, 15), "permessage-deflate"},
		{requested, "permessage-deflate; client_max_window_bits", compression(true, true, 15, 15), "permessage-deflate"},
		{requested, "permessage-deflate; client_max_window_bits=9", compression(true, true, 15, 9), "permessage-deflate; client_max_window_bits=9"},
		{requested, "permessage-deflate; server_max_window_bits=8", compression(true, true, 8, 15), "permessage-deflate; server_max_window_bits=8"},
		{requested, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", compression(false, false, 15, 15),
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		{small, "permessage-deflate; client_max_window_bits", compression(true, true, 10, 11), "permessage-deflate; client_max_window_bits=11"},
		{small, "permessage-deflate; client_max_window_bits=9", compression(true, true, 10, 9), "permessage-deflate; client_max_window_bits=9"},
		{small, "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15", compression(true, true, 10, 11),
			"permessage-deflate; server_max_window_bits=10; client_max_window_bits=11"},
		{small, "permessage-deflate; server_max_window_bits=9", compression(true, false, 9, 15),
			"permessage-deflate; client_no_context_takeover; server_max_window_bits=9"},
		{compression(false, false, 15, 15), "permessage-deflate", compression(false, false, 15, 15),
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
		// Invalid offers are skipped (RFC 7692 section 7.1).
		{requested, "permessage-deflate; level=9, permessage-deflate; server_max_window_bits=9", compression(true, true, 9, 15), "permessage-deflate; server_max_window_bits=9"},
		{requested, "permessage-deflate; server_max_window_bits, other; a=b, permessage-deflate", compression(true, true, 15, 15), "permessage-deflate"},
		{requested, "permessage-deflate; server_max_window_bits=16", engine.Compression{}, ""},
		{requested, "permessage-deflate; client_no_context_takeover; client_no_context_takeover", engine.Compression{}, ""},
	} {
		var values []string
		if test.offers != "" {
			values = strings.Split(test.offers, ", ")
		}
		got, response, err := acceptOffer(test.requested, values)
		if got != test.want || response != test.response || err != nil {
			t.Errorf("%q: %+v, %q, %v; want %+v, %q", test.offers, got, response, err, test.want, test.response)
		}
	}
	if _, _, err := acceptOffer(requested, []string{"permessage-deflate; ="}); err == nil {
		t.Error("a malformed offer was accepted")
	}
}

func TestServersRejectMalformedExtensions(t *testing.T) {
	request := "GET / HTTP/1.1\r\n" + goodHeader + "Sec-WebSocket-Extensions: permessage-deflate;;\r\n\r\n"
	for name, serve := range servers {
		response, _, result, err := serve(t, &ServerOptions{Compression: engine.DefaultCompression}, request)
		if response.StatusCode != http.StatusBadRequest || result != nil || err == nil {
			t.Errorf("%s: %d, %+v, %v", name, response.StatusCode, result, err)
		}
	}
}

func TestInvalidCompressionIsRejected(t *testing.T) {
	for _, z := range []engine.Compression{{Level: 10}, {Level: 1, SendWindowBits: 7}, {Level: 1, RecvWindowBits: 16}, {Level: 1, SendWindowBits: -1}} {
		if err := (&Request{Host: "h", Compression: z}).Check(); err == nil {
			t.Errorf("%+v: a client may request it", z)
		}
		if err := (&ServerOptions{Compression: z}).check(1); err == nil {
			t.Errorf("%+v: a server may support it", z)
		}
	}
	if err := (&Request{Host: "h", Compression: engine.Compression{SendWindowBits: 99}}).Check(); err != nil {
		t.Errorf("compression is off: %v", err)
	}
}

// Whatever one side may send, the other side must be able to receive.
func TestBothSidesAgreeOnCompression(t *testing.T) {
	var all []engine.Compression
	for i := range 4 {
		for _, bits := range []int{8, 9, 11, 15} {
			all = append(all, compression(i&1 == 0, i&2 == 0, bits, 23-bits), compression(i&1 == 0, i&2 == 0, bits, bits))
		}
	}
	for _, asked := range all {
		for _, granted := range all {
			client, server, err := agreeOn(t, asked, granted)
			if err != nil {
				t.Fatalf("%+v, %+v: %v", asked, granted, err)
			}
			for _, direction := range []struct {
				name           string
				sender, taker  engine.Compression
				mayTakeOver    bool
				mostSent, most int
			}{
				{"up", client, server, asked.SendTakeover && granted.RecvTakeover, asked.SendWindowBits, granted.RecvWindowBits},
				{"down", server, client, asked.RecvTakeover && granted.SendTakeover, granted.SendWindowBits, asked.RecvWindowBits},
			} {
				what := fmt.Sprintf("%+v, %+v, %s: %+v, %+v", asked, granted, direction.name, direction.sender, direction.taker)
				if direction.sender.SendTakeover && !direction.taker.RecvTakeover {
					t.Errorf("%s: the sender refers to a window that the receiver has dropped", what)
				}
				if direction.sender.SendWindowBits > direction.taker.RecvWindowBits {
					t.Errorf("%s: the window of the sender is larger than that of the receiver", what)
				}
				if direction.sender.SendTakeover != direction.mayTakeOver || direction.sender.SendWindowBits > direction.mostSent {
					t.Errorf("%s: the sender uses more or less than was requested", what)
				}
				if direction.taker.RecvTakeover && direction.taker.RecvWindowBits > max(direction.most, 9) {
					t.Errorf("%s: the receiver keeps a larger window than was requested", what)
				}
			}
		}
	}
}

// agreeOn performs a handshake between Client and ServerConn.
func agreeOn(t *testing.T, asked, granted engine.Compression) (client, server engine.Compression, err error) {
	t.Helper()
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	served := make(chan engine.Compression, 1)
	go func() {
		result, _, err := ServerConn(context.Background(), far, &ServerOptions{Compression: granted})
		if err != nil {
			far.Close()
			result = &Result{}
		}
		served <- result.Compression
	}()
	result, err := Client(t.Context(), near, &Request{Host: "h", Compression: asked})
	if err != nil {
		near.Close()
		<-served
		return engine.Compression{}, engine.Compression{}, err
	}
	return result.Compression, <-served, nil
}
