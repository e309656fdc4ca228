package main

import (
	"context"
	"fmt"
	"net"

	"github.com/seed004e8d11/websock"
)

// dial returns a connection for an MQTT client: a byte stream in binary messages (MQTT 5
// section 6, MQTT 3.1.1 section 6).
func dial(ctx context.Context, url string) (net.Conn, error) {
	conn, err := websock.Dial(ctx, url, &websock.Config{Subprotocols: []string{"mqtt"}})
	if err != nil {
		return nil, err
	}
	if conn.Subprotocol() != "mqtt" { // a server of something else
		conn.Close()
		return nil, fmt.Errorf("%s doesn't speak MQTT", url)
	}
	return &packets{Conn: conn.NetConn(websock.OpBinary)}, nil
}
