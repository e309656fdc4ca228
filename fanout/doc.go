// Package fanout keeps many connections open: it dials them at a pace, replays what has to be
// sent first, keeps them alive, dials again what was lost, sends to one or to all, and counts.
//
// A Group has a fixed number of slots. A Slot is a place for one connection at a time; when
// that is lost, another one takes its place.
//
//	g, err := fanout.Start(fanout.Options{
//		Targets:   fanout.URLs("wss://a.example/feed", "wss://b.example/feed"),
//		Size:      10000,
//		OnConnect: func(ctx context.Context, s *fanout.Slot, c *websock.Conn) error {
//			return c.SendText(subscriptionOf(s.Number()))
//		},
//		OnMessage: func(s *fanout.Slot, op websock.Opcode, msg []byte) { ... },
//	})
//	...
//	g.Broadcast(websock.OpText, []byte("hello"))
//	g.Shutdown(ctx)
//
// # Dialling
//
// Pace bounds how many connections are begun in a second, how many are being opened at a
// time, and, if told to, how many of those to one host and port, which RFC 6455 section 4.1
// wants to be one. A connection that can't be opened or is lost is dialled again after
// a random time, whose bound doubles with every failure in a row; see Backoff. What the server
// says about that is heeded: Retry-After with status 429 or 503, for all slots of its host, and
// the close codes 1012 and 1013. Some failures are final, such as status 401, 403 and 404 and
// refused certificates: the slot stops, and says so; see Permanent.
//
// # Delivery
//
// Delivery is at most once. A message that Send or Broadcast accepted is lost if the
// connection ends before it has left; nothing is ever sent twice, and nobody is told what
// the peer has received: that takes an answer of the peer's own. With Options.SendBuffer a
// slot keeps what is sent while it isn't connected, and sends it after OnConnect, in order
// and before anything newer. What doesn't fit is refused, and what was kept in vain is
// counted and reported to OnUnsent.
//
// A send never waits for the peer. When too much waits for a peer already, see
// Limits.SendQueue, the message is refused with an *websock.LimitError, and nobody else is
// held up.
//
// # Cost
//
// A Group has one timing wheel and no goroutine of its own. Goroutines run while connections
// are being opened, one each, at most Pace.Handshakes. With transport/epoll there are no
// others. Transports that can't queue, such as transport/std, have one for each connection;
// for these the Group keeps the queue and writes it in goroutines that are there while
// something waits: a few, and one more for every peer that holds one up.
package fanout
