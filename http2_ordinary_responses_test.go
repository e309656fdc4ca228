package websock

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Responses of handlers.
var ordinaryResponses = []ordinaryRequest{
	{name: "nothing", handler: func(w http.ResponseWriter, r *http.Request) {}},
	{name: "201", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) }},
	{name: "204", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204) }},
	{name: "204 with body", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(204)
		_, err := io.WriteString(w, "abc")
		if err != http.ErrBodyNotAllowed {
			panic(err)
		}
	}},
	{name: "304 with length", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(304)
	}},
	{name: "304 with type", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/x")
		w.WriteHeader(304)
	}},
	{name: "205", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(205); io.WriteString(w, "x") }},
	{name: "html", handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<html>") }},
	{name: "flush", handler: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "<html>")
		w.(http.Flusher).Flush()
	}},
	{name: "flush first", handler: func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); io.WriteString(w, "x") }},
	{name: "flush only", handler: func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() }},
	{name: "empty write", handler: func(w http.ResponseWriter, r *http.Request) { w.Write(nil) }},
	{name: "no type", handler: func(w http.ResponseWriter, r *http.Request) { w.Header()["Content-Type"] = nil; io.WriteString(w, "x") }},
	{name: "no date", handler: func(w http.ResponseWriter, r *http.Request) { w.Header()["Date"] = nil; io.WriteString(w, "x") }},
	{name: "own date", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", "x")
		io.WriteString(w, "x")
	}},
	{name: "encoded", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "x")
	}},
	{name: "length", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		io.WriteString(w, "ab")
	}},
	{name: "too long", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "2")
		n, err := io.WriteString(w, "abc")
		fmt.Fprint(w, n, err != nil)
	}},
	{name: "too short", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "abc")
	}},
	{name: "too short flushed", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "5")
		io.WriteString(w, "abc")
		w.(http.Flusher).Flush()
	}},
	{name: "bad length header", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "x")
		io.WriteString(w, "abc")
	}},
	{name: "header", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X"] = []string{"a", "b"}
		w.Header()["lower"] = []string{"c"}
		w.Header()["bad name"] = []string{"c"}
		w.Header()["Bad-Value"] = []string{"c\nd"}
		w.Header()["Space"] = []string{" c "}
		w.Header()[":status"] = []string{"500"}
		w.Header()["Ünï"] = []string{"500"}
	}},
	{name: "connection headers", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "keep-alive")
		w.Header().Set("Keep-Alive", "x")
		w.Header().Set("Transfer-Encoding", "chunked")
		w.Header().Set("Upgrade", "x")
		w.Header().Set("Proxy-Connection", "x")
		w.Header().Set("Te", "gzip")
	}},
	{name: "connection close", handler: func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close") }},
	{name: "trailer announced", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-A, X-B")
		w.Header().Add("Trailer", "Content-Length")
		io.WriteString(w, "x")
		w.Header().Set("X-A", "1")
		w.Header().Set("X-C", "1")
	}},
	{name: "trailer prefix", handler: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.Header().Set(http.TrailerPrefix+"x-a", "1")
	}},
	{name: "trailer prefix before", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(http.TrailerPrefix+"x-a", "1")
		io.WriteString(w, "x")
	}},
	{name: "trailer without body", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-A")
		w.WriteHeader(200)
		w.Header().Set("X-A", "1")
	}},
	{name: "trailer set before", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-A")
		w.Header().Set("X-A", "1")
		io.WriteString(w, "x")
	}},
	{name: "status 100", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(100); w.WriteHeader(200) }},
	{name: "status 101", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(101) }},
	{name: "status 103", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a>")
		w.Header().Set("Content-Length", "1")
		w.WriteHeader(103)
		w.WriteHeader(200)
		io.WriteString(w, "x")
	}},
	{name: "status 999", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(999) }},
	{name: "status 99", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(99) }},
	{name: "status 1000", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(1000) }},
	{name: "twice", handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200); w.WriteHeader(500) }},
	{name: "write then header", handler: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.Header().Set("X", "late")
		w.WriteHeader(500)
	}},
	{name: "panic", handler: func(w http.ResponseWriter, r *http.Request) { panic("x") }},
	{name: "panic abort", handler: func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) }},
	{name: "panic after flush", handler: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}},
	{name: "panic after write", handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x"); panic(http.ErrAbortHandler) }},
	{name: "redirect", handler: func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "../x", http.StatusFound) }},
	{name: "error", handler: func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 404) }},
	{name: "hijack", handler: func(w http.ResponseWriter, r *http.Request) {
		_, _, err := http.NewResponseController(w).Hijack()
		fmt.Fprint(w, errors.Is(err, http.ErrNotSupported))
	}},
	{name: "interfaces", handler: func(w http.ResponseWriter, r *http.Request) {
		_, flusher := w.(http.Flusher)
		_, hijacker := w.(http.Hijacker)
		_, pusher := w.(http.Pusher)
		_, cn := w.(interface{ CloseNotify() <-chan bool })
		_, sw := w.(io.StringWriter)
		_, rf := w.(io.ReaderFrom)
		fmt.Fprint(w, flusher, hijacker, pusher, cn, sw, rf)
	}},
	{name: "push", handler: func(w http.ResponseWriter, r *http.Request) {
		p, ok := w.(http.Pusher)
		if ok {
			fmt.Fprint(w, p.Push("/x", nil))
		}
	}},
	{name: "controller", handler: func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		fmt.Fprint(w, c.SetReadDeadline(time.Now().Add(time.Hour)), c.SetWriteDeadline(time.Now().Add(time.Hour)), c.EnableFullDuplex(), c.Flush())
	}},
	{name: "context", handler: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Context().Value(http.ServerContextKey) != nil, r.Context().Value(http.LocalAddrContextKey) != nil, r.Context().Err())
	}},
	{name: "4096", handler: func(w http.ResponseWriter, r *http.Request) { w.Write(bytes.Repeat([]byte("x"), 4096)) }},
	{name: "4097 in pieces", handler: func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("x"), 4096))
		w.Write([]byte("y"))
	}},
	{name: "HEAD with body", fields: ":method: HEAD", handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "abc") }},
	{name: "HEAD with length", fields: ":method: HEAD", handler: func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "7") }},
	{name: "HEAD nothing", fields: ":method: HEAD", handler: func(w http.ResponseWriter, r *http.Request) {}},
	{name: "HEAD with flush", fields: ":method: HEAD", handler: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "abc")
		w.(http.Flusher).Flush()
		io.WriteString(w, "abc")
	}},
	{name: "HEAD large", fields: ":method: HEAD", handler: func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 10000)) }},
	{name: "body not read", fields: ":method: POST", body: []string{"hello"}, handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }},
	{name: "body open", fields: ":method: POST", body: []string{"hello"}, open: true, handler: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "x") }},
	{name: "body open 413", fields: ":method: POST", body: []string{"hello"}, open: true, handler: func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, 3)
		_, err := io.ReadAll(r.Body)
		http.Error(w, fmt.Sprint(err), http.StatusRequestEntityTooLarge)
	}},
	{name: "body closed", fields: ":method: POST", body: []string{"hello"}, handler: func(w http.ResponseWriter, r *http.Request) {
		e := r.Body.Close()
		n, err := r.Body.Read(make([]byte, 5))
		fmt.Fprint(w, e, n, err)
	}},
	{name: "body in pieces", fields: ":method: POST", body: []string{"hello", "world"}, handler: func(w http.ResponseWriter, r *http.Request) {
		p := make([]byte, 3)
		n, err := io.ReadFull(r.Body, p)
		fmt.Fprint(w, n, err, string(p))
		rest, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(rest), err)
		n, err = r.Body.Read(p)
		fmt.Fprint(w, n, err)
	}},
	{name: "form", fields: ":method: POST\ncontent-type: application/x-www-form-urlencoded", body: []string{"a=b&c=d"}, handler: func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.ParseForm(), r.Form)
	}},
	{name: "write before read", fields: ":method: POST\nexpect: 100-continue", body: []string{"a=b&c=d"}, handler: func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "x")
		w.(http.Flusher).Flush()
		b, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(b), err)
	}},
	{name: "expect not read", fields: ":method: POST\nexpect: 100-continue", open: true, handler: func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(417) }},
	{name: "read deadline", fields: ":method: POST", open: true, handler: func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		_, err := io.ReadAll(r.Body)
		fmt.Fprint(w, errors.Is(err, http.ErrHandlerTimeout), err)
	}},
	{name: "write deadline", handler: func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
		_, err := w.Write(make([]byte, 100000))
		_ = err
	}},
}
