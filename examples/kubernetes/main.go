// Command kubernetes runs commands and forwards ports over WebSocket, with the protocols of kubectl exec
// and kubectl port-forward. It is a client of both, and a small server that stands in for a
// cluster: it runs commands, and connects to ports, of its own machine. The client was tried with the
// server of k8s.io/cri-streaming 0.37.2, and the server with the client of k8s.io/client-go 0.37.2.
//
//	TOKEN=secret go run ./examples/kubernetes serve 127.0.0.1:8001
//	TOKEN=secret go run ./examples/kubernetes exec ws://127.0.0.1:8001/api/v1/namespaces/default/pods/web sort -r
//	TOKEN=secret go run ./examples/kubernetes port-forward ws://127.0.0.1:8001/api/v1/namespaces/default/pods/web 127.0.0.1:9000 80
package main

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := pod{token: os.Getenv("TOKEN")}
	args := os.Args[1:]
	switch {
	case len(args) == 2 && args[0] == "serve":
		log.Fatal(serve(args[1], p.token))
	case len(args) > 2 && args[0] == "exec":
		p.url = args[1]
		code, err := p.exec(ctx, args[2:], streams{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr})
		if err != nil {
			log.Fatal(err)
		}
		os.Exit(code)
	case len(args) == 4 && args[0] == "port-forward":
		p.url = args[1]
		if err := forward(ctx, p, args[2], args[3]); err != nil {
			log.Fatal(err)
		}
	default:
		log.Fatal("usage: kubernetes serve ADDRESS | exec URL COMMAND ... | port-forward URL ADDRESS PORT")
	}
}

func serve(addr, token string) error {
	if token == "" {
		return errors.New("whoever has the token runs commands here: set TOKEN")
	}
	return http.ListenAndServe(addr, newServer(token))
}

func forward(ctx context.Context, p pod, addr, port string) error {
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return p.forward(ctx, listener, uint16(n))
}
