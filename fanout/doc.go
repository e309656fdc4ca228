// Package fanout keeps many connections open. It dials them at a limited pace, lets the application
// log in and subscribe on each, keeps them alive, dials again when one is lost, sends messages to one
// or to all of them, and counts what happens.
//
// A Group has a fixed number of slots. A Slot is a place for one connection at a time; when that is
// lost, another one takes its place.
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
// # Dialing
//
// Pace bounds how many attempts begin in a second, how many are under way at a time and, if asked to,
// how many of these are to one host and port; RFC 6455 section 4.1 allows one. A slot whose attempt
// has failed or whose connection is lost is dialed again after a random time, whose bound doubles
// with every failure in a row: see Backoff. What the server asks for is respected: Retry-After with
// status 429 or 503, for all slots of its host, and the close codes 1012 and 1013. After some
// failures, such as status 401, 403 and 404 and certificates that are not trusted, the slot stops:
// see Permanent.
//
// # Delivery
//
// Messages are delivered at most once. A message that Send or Broadcast has accepted is lost if the
// connection ends before the message was transmitted. Nothing is sent twice, and only an answer of
// the peer can tell that a message has arrived. With Options.SendBuffer a slot keeps messages while
// it isn't connected, and sends them after OnConnect, in order and before any newer one. Messages
// that don't fit are refused; messages that were kept but can no longer be sent are counted and reported
// to OnUnsent.
//
// A send never waits for the peer. If too many bytes wait for a peer already (Limits.SendQueue), the
// message is refused with a *websock.LimitError, and no other slot is held up.
//
// # Cost
//
// A Group has one timer and no permanent goroutine. While connections are being opened, each has a
// goroutine: at most Pace.Handshakes, and those that wait for hosts that don't answer. With
// transport/epoll there are no others. Transports that can't queue, such as transport/std, have one
// for each connection; for these the Group keeps the queue, and writes it in goroutines that exist
// while something waits: a few, and one more for each peer that blocks one.
package fanout
