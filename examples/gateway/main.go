// Command gateway lets browsers take part in many upstream servers through one connection each:
// what an upstream sends goes to every browser, and what a browser sends goes to every upstream.
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
