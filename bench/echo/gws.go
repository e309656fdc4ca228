//go:build linux

package echo

import (
	"net/http"

	"github.com/lxzan/gws"
)

// gwsServer has a goroutine for each connection, apart from the HTTP server's. By default UTF-8 isn't
// checked and messages aren't handled in parallel.
type gwsServer struct {
	gws.BuiltinEventHandler
	upgrader *gws.Upgrader
	members  members[*gws.Conn]
}

func newGws() http.Handler {
	const buffer = 1024
	s := &gwsServer{}
	s.upgrader = gws.NewUpgrader(s, &gws.ServerOption{ReadBufferSize: buffer})
	return s
}

func (s *gwsServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if conn, err := s.upgrader.Upgrade(w, r); err == nil {
		go conn.ReadLoop()
	}
}

// OnOpen implements gws.Event.
func (s *gwsServer) OnOpen(conn *gws.Conn) { s.members.join(conn) }

// OnClose implements gws.Event.
func (s *gwsServer) OnClose(conn *gws.Conn, _ error) { s.members.leave(conn) }

// OnMessage implements gws.Event.
func (s *gwsServer) OnMessage(conn *gws.Conn, m *gws.Message) {
	defer m.Close()
	if m.Opcode == gws.OpcodeText {
		b := gws.NewBroadcaster(gws.OpcodeText, m.Bytes())
		defer b.Close()
		for _, to := range s.members.all() {
			b.Broadcast(to)
		}
		return
	}
	conn.WriteMessage(m.Opcode, m.Bytes()) // a failure ends the connection
}
