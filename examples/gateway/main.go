// Command gateway connects browsers to several upstream servers, with one connection for each
// browser. A message of an upstream goes to every browser, a message of a browser to every
// upstream.
//
//	go run ./examples/gateway -listen 127.0.0.1:8080 wss://a.example/ wss://b.example/
package main

import (
	"flag"
	"log"
	"net/http"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "host and port")
	flag.Parse()
	g, err := newGateway(flag.Args())
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*addr, g))
}
