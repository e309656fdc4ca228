package h2_test

import (
	"context"
	"fmt"
	"net"

	"golang.org/x/net/http2/hpack"

	"github.com/seed004e8d11/websock/transport/h2"
	"github.com/seed004e8d11/websock/transport/std"
)

// A server that answers each request with its path.
func Example() {
	ours, theirs := net.Pipe()
	server, err := h2.NewServer(std.New(theirs, nil), h2.Config{
		Request: func(st *h2.Stream, h h2.Head) {
			st.SendHead([]hpack.HeaderField{{Name: ":status", Value: "200"}}, false)
			for _, f := range h.Fields {
				if f.Name == ":path" {
					st.Writev([]byte("you want " + f.Value))
				}
			}
			st.CloseWrite()
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close(0, nil)

	client, err := h2.NewClient(std.New(ours, nil), h2.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close(0, nil)
	st, err := client.Open([]hpack.HeaderField{
		{Name: ":method", Value: "GET"},
		{Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "example.com"},
		{Name: ":path", Value: "/hello"},
	}, true)
	if err != nil {
		fmt.Println(err)
		return
	}
	head, err := st.Head(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	body, err := st.View()
	fmt.Println(head.Fields[0].Value, string(body), err)
	// Output: 200 you want /hello <nil>
}
