package tls_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http/httptest"

	wstls "github.com/seed004e8d11/websock/transport/tls"
)

func ExampleClient() {
	server := httptest.NewUnstartedServer(nil)
	server.StartTLS()
	defer server.Close()
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		fmt.Println(err)
		return
	}
	secured, err := wstls.Client(context.Background(), conn, "example.com", &tls.Config{RootCAs: roots})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer secured.Close()
	fmt.Println(secured.ConnectionState().NegotiatedProtocol)
	// Output: http/1.1
}
