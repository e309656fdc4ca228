// Command privateca sends a message to a wss server whose certificate was signed by a private
// authority, and prints the answer.
//
//	go run ./examples/privateca ca.pem wss://internal.example/echo
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/seed004e8d11/websock"
)

func main() {
	if err := echo(os.Stdout, os.Args[1], os.Args[2]); err != nil {
		log.Fatal(err)
	}
}

func echo(w io.Writer, caFile, url string) error {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return fmt.Errorf("%s has no certificate", caFile)
	}
	conn, err := websock.Dial(context.Background(), url, &websock.Config{
		TLS: &tls.Config{RootCAs: roots},
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SendText([]byte("Hello, private server")); err != nil {
		return err
	}
	_, msg, err := conn.RecvMessage(nil)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", msg)
	return err
}
