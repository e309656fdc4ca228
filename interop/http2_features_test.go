package interop

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/seed004e8d11/websock"
)

// streamFeatures are the columns of the matrix for WebSockets over HTTP/2 (RFC 8441).
var streamFeatures = append(conversation(stream),
	feature{name: "compressed", variant: compressedStream, check: compressedBothWays},
	feature{name: "50 at once", variant: stream, several: atOnce},
	feature{name: "one paused", variant: stream, several: onePaused},
	feature{name: "h2c", variant: cleartextStream, several: atOnce},
)

// http3Features are the columns of the matrix for WebSockets over HTTP/3 (RFC 9220), which always is
// encrypted.
var http3Features = slices.DeleteFunc(slices.Clone(streamFeatures), func(f feature) bool { return f.variant == cleartextStream })

// atOnce opens 50 WebSockets at once, each of which has to be used while all others are open. All of
// them share a connection if the peer allows so many streams.
func atOnce(open func() (*websock.Conn, error)) error {
	conns, err := openSeveral(open, 50)
	if err != nil {
		return err
	}
	errs := make([]error, len(conns))
	var echoes sync.WaitGroup
	for i, c := range conns {
		echoes.Go(func() {
			errs[i] = errors.Join(
				echoed(c, websock.OpText, fmt.Appendf(nil, "message of WebSocket %d", i)),
				echoed(c, websock.OpBinary, payload(20_000+i)),
			)
		})
	}
	echoes.Wait()
	shared := map[string]int{}
	for i, c := range conns {
		shared[c.LocalAddr().String()+c.RemoteAddr().String()]++
		echoes.Go(func() { errs[i] = errors.Join(errs[i], c.CloseWith(websock.CloseNormal, "")) })
	}
	echoes.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	switch most := slices.Max(slices.Collect(maps.Values(shared))); {
	case most == 1:
		return errors.New("each WebSocket has a connection of its own")
	case len(shared) > 1:
		return remark(fmt.Sprintf("%d WebSockets a connection", most))
	}
	return nil
}

// openSeveral opens n WebSockets at the same time.
func openSeveral(open func() (*websock.Conn, error), n int) ([]*websock.Conn, error) {
	conns, errs := make([]*websock.Conn, n), make([]error, n)
	var opening sync.WaitGroup
	for i := range n {
		opening.Go(func() { conns[i], errs[i] = open() })
	}
	opening.Wait()
	return conns, errors.Join(errs...)
}

// onePaused leaves one WebSocket unread, with more echoes under way to it than all windows and buffers
// hold. Another one of the same connection works on, and so does the first one when it is read again.
func onePaused(open func() (*websock.Conn, error)) error {
	conns, err := openSeveral(open, 2)
	if err != nil {
		return err
	}
	unread, other := conns[0], conns[1]
	defer unread.Close()
	defer other.Close()
	const messages, size = 12, 64 << 10
	sent := make(chan error, 1)
	go func() {
		for i := range messages {
			if err := unread.SendBinary(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range 10 { // takes turns with the other's messages
		for _, size := range []int{10, 300_000} {
			if err := echoed(other, websock.OpText, payload(size)); err != nil {
				return fmt.Errorf("beside an unread WebSocket: %w", err)
			}
		}
	}
	for i := range messages {
		if err := arrives(unread, websock.OpBinary, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			return fmt.Errorf("echo %d, read late: %w", i, err)
		}
	}
	return <-sent
}
