// Command chat serves a web page on which people chat.
//
//	cd examples/chat && go run . -listen 127.0.0.1:8080
package main

import (
	"flag"
	"log"
	"net/http"
)

func main() {
	addr := flag.String("listen", "127.0.0.1:8080", "host and port")
	flag.Parse()
	log.Printf("http://%s/", *addr)
	log.Fatal(http.ListenAndServe(*addr, newChat()))
}
