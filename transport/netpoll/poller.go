//go:build (linux && (amd64 || arm64 || loong64)) || (darwin && (amd64 || arm64))

package netpoll

import (
	"reflect"

	"github.com/cloudwego/netpoll"

	"github.com/seed004e8d11/websock/internal/socket"
)

// pick returns the poller that netpoll has in mind for the next connection, by its own
// balance and number of pollers. It tells nobody; but a connection that it makes has one.
// So it makes one, of a socket on which nothing can come, and closes it again. The poller
// is nil in a version of netpoll that keeps it elsewhere.
func pick() (netpoll.Poll, error) {
	fd, err := socket.OpenUnbound()
	if err != nil {
		return nil, err
	}
	probe, err := netpoll.NewFDConnection(fd)
	if err != nil {
		return nil, err // netpoll has closed the descriptor
	}
	defer probe.Close()
	return pollOf(probe), nil
}

// pollOf returns the poller of a connection.
func pollOf(conn netpoll.Connection) netpoll.Poll {
	operator := field[*netpoll.FDOperator](conn, "operator")
	if operator == nil || *operator == nil {
		return nil
	}
	poll := field[netpoll.Poll](*operator, "poll")
	if poll == nil {
		return nil
	}
	return *poll
}

// field returns a field of the struct that of points to, exported or not, or nil if there
// is none of that name and type.
func field[T any](of any, name string) *T {
	v := reflect.ValueOf(of).Elem()
	if v.Kind() != reflect.Struct {
		return nil
	}
	f := v.FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return (*T)(f.Addr().UnsafePointer())
}
