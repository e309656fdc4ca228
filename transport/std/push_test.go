package std_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport/std"
)

func TestReadDeadlineOfBusyPushedConn(t *testing.T) {
	client, server := netpair.Sockets(t, "tcp")
	c := websock.NewConn(std.New(client, nil), websock.Client, websock.Options{})
	messages, closed := make(chan string, 1), make(chan error, 1)
	c.SetHandler(websock.Messages(
		func(_ *websock.Conn, _ websock.Opcode, msg []byte) { messages <- string(msg) },
		func(_ *websock.Conn, err error) { closed <- err },
	))
	for range 10 {
		io.WriteString(server, "\x81\x01x")
		<-messages
	}
	time.Sleep(2 * std.RecheckDelay) // until it has rechecked, and found nothing
	io.WriteString(server, "\x81\x01y")
	if got := <-messages; got != "y" {
		t.Errorf("%q", got)
	}
	io.WriteString(server, "\x81\x01z")
	<-messages
	c.SetRecvDeadline(time.Now().Add(std.RecheckDelay / 10))
	if err := <-closed; !errors.Is(err, websock.ErrTimeout) {
		t.Errorf("%v", err)
	}
}
