package tls_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
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

// A server whose hijacked connections can be moved to another transport.
func ExampleNewListener() {
	certificates := httptest.NewUnstartedServer(nil)
	certificates.StartTLS()
	defer certificates.Close()
	roots := x509.NewCertPool()
	roots.AddCert(certificates.Certificate())

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		under, ok := wstls.NetConn(conn.(*tls.Conn)) // for the inner transport
		fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\n\r\n%T %v", under, ok)
	})}
	go server.Serve(wstls.NewListener(l, &tls.Config{Certificates: certificates.TLS.Certificates}))
	defer server.Close()

	conn, err := net.Dial("tcp", l.Addr().String())
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
	fmt.Fprint(secured, "GET / HTTP/1.1\r\nHost: example.com\r\n\r\n")
	lines := bufio.NewScanner(secured)
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	// Output:
	// HTTP/1.1 200 OK
	//
	// *net.TCPConn true
}
