// Package fanout keeps many connections open. It dials them at a limited pace, lets the application
// log in and subscribe on each, keeps them alive, dials again when one is lost, sends messages to one,
// to some or to all of them, and counts what happens.
//
// A Group has slots. A Slot is a place for one connection at a time; when that is lost, another one takes
// its place. Slots can be added and removed while the Group runs.
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
// status 429 or 503, for all slots of its host, and the close codes 1012 and 1013; Options.RetryAfter
// understands close codes of its own. After some failures, such as status 401, 403 and 404 and
// certificates that are not trusted, the slot stops: see Permanent.
//
// # Failover
//
// With Options.Failover a slot isn't tied to one of Targets. It prefers one, so that all slots together
// are spread over the Targets by Target.Weight, and each attempt goes there while that Target works. After
// a failure that is the Target's, the slot's next attempt goes to another one, and after
// Failover.Failures of them in a row, of all slots together, every slot avoids the Target: also those that
// wait for their turn to dial it. The slots that prefer it are spread over the others by their weights.
// When the time of avoidance is over, one slot tries the Target again. If that succeeds, the others come
// back to it when they dial the next time; no connection is ended for that (Slot.Reconnect does so). If
// it doesn't, the time doubles. When all Targets are to be avoided, the one that failed the longest time
// ago is dialed: a Group never refuses to dial.
//
//	g, err := fanout.Start(fanout.Options{
//		Targets: []fanout.Target{
//			{URL: "wss://a.example/feed", Weight: 2},
//			{URL: "wss://b.example/feed"},
//			{URL: "wss://spare.example/feed", Weight: -1}, // only while neither a nor b works
//		},
//		Size:     10000,
//		Failover: &fanout.Failover{},
//	})
//
// Failures that are the Target's are those to resolve and to connect, timeouts, TLS, proxies, an answer
// that is no opening handshake, and the statuses of servers that don't work: all but 4xx, and of these
// 404, 408, 410, 421 and 429. So are a connection that is lost or times out in OnConnect, one that
// PingTimeout has ended, and the close codes 1012 and 1013. Failures that are the slot's are those of
// Prepare and OnConnect, status 401 and 403 and a certificate that is refused. They mark no Target, and
// the slot stops if they are permanent. A slot whose Target has failed permanently, with status 404 for
// instance, goes on with another one, and stops when the last failures of all of its Targets were
// permanent.
//
// While another Target works, Backoff doesn't add the time that a server asks for, with Retry-After or
// close code 1012 or 1013: only that server is avoided for so long. Group.Targets tells how the Targets
// do. A slot that is added with several SlotOptions.Targets chooses among these, with or without
// Options.Failover; Targets with the same host, port and source address share what is known of them.
//
// # Addresses
//
// A net.Dialer connects to the first address of a host that answers, so all slots may end up on one
// server of many that share a name. With Options.Rotation each attempt looks the host up, or uses an
// answer that is not older than Rotation.TTL, and connects to the next address. Other addresses are
// tried in the same attempt if the connection can't be made, and after Dialer.FallbackDelay those of
// the other family, as net.Dialer does. An address that has failed, or whose server has answered with
// an error such as status 503, comes last for DefaultAvoid at first and up to DefaultAvoidMax, until an
// attempt there has succeeded.
//
// The Host header and the name in the server's certificate stay those of the URL. Config.Dialer is
// used, with its LocalAddr: addresses of another family than that are left out. With a proxy, which
// looks the host up itself, the addresses in turn are those of the proxy. Rotation doesn't apply where
// Config.NetDial or DialTLS connects, to Unix sockets, and to URLs with an IP address. A Mux shares its
// connections by host name: with it only the attempts that have a connection dialed go to the next
// address.
//
// Pace.PerHost and the pauses that a server asks for are by host and port as the URL has them, not by
// address. RFC 6455 section 4.1 allows one connection in the CONNECTING state to an IP address. As an
// attempt connects to one address at a time, or to one of each family, a PerHost of 1 does that also
// with a Rotation, and even allows less than the RFC, unless two names have the same address. With a
// greater PerHost there may be as many to one address, but in turn it gets only its share.
//
// # Slots that come and go
//
// Group.Add adds a slot that has a key and, if SlotOptions say so, Targets of its own. Slot.Remove and
// Group.Remove end one in an orderly way: sends on it are refused, what was sent before is written, the
// connection is closed, and OnDown is told. Nothing waits for that: the slot is no longer found at once, and
// another one may be added with its key, which is dialed when the old one has ended, so that a key never has
// two connections. Slot.Abort does the same without waiting for the peer. Group.Resize adds or removes
// slots until there is a number of them.
//
//	g, err := fanout.Start(fanout.Options{Size: -1, OnMessage: ...}) // none to begin with
//	...
//	s, err := g.Add("prices/42", fanout.SlotOptions{Targets: fanout.URLs("wss://a.example/prices/42"), Value: account})
//	...
//	g.Remove("prices/42")
//	<-s.Context().Done() // nothing is called for it any more
//
// Every slot has a number: a new one gets the lowest that is free, also that of a slot that was removed. So
// what belongs to a slot is better kept in Slot.Value than in an array, and what runs for it ends with
// Slot.Context. The cost of adding or removing a slot doesn't depend on how many there are.
//
// A slot that stays can be taken down with Slot.Stop and dialed again with Slot.Resume; Slot.Reconnect
// does both. Slot.Retry ends the wait before the next attempt.
//
// # HTTP/2
//
// With a Config.Mux in its Target, a slot's WebSocket is a stream of an HTTP/2 connection that it
// shares with other slots of the host (RFC 8441), up to Mux.StreamsPerConn of them:
//
//	mux := &websock.Mux{StreamsPerConn: 100}
//	g, err := fanout.Start(fanout.Options{
//		Targets: []fanout.Target{{
//			URL:    "wss://a.example/feed",
//			Config: websock.Config{Mux: mux, Transport: epoll.Transport()},
//		}},
//		Size: 10000, // on 100 connections
//	})
//
// All of the package works as it does with a connection for each slot, but for this:
//   - Pace counts WebSockets, not connections, except PerHost: see there. An attempt for which no
//     connection has a stream has one dialed, or waits for one that is being dialed.
//   - When a connection is lost, each of its slots goes down with an error of its own, and comes back
//     after its own Backoff and at the Pace of the Group. The first one has a connection dialed, which
//     the others share.
//   - One PING keeps all slots of a connection alive: see Options.Ping.
//   - What a broadcast and Shutdown send to the slots of a connection leaves in as few writes as possible.
//   - The goroutine that reads a connection calls OnMessage of all its slots, on every transport: while
//     one of these calls blocks, the other slots wait.
//   - If Mux.MaxConns allows fewer streams than there are slots, the attempts of the rest fail after
//     Config.Timeout (FailedFull) and are repeated with Backoff.
//   - The Mux belongs to the caller. Shutdown closes the WebSockets of the Group, and leaves the
//     connections to Mux.IdleTimeout, or to other users of the Mux; Mux.Shutdown or Mux.Close, after the
//     Group's Shutdown, ends them. If the Mux is closed before, the slots go down, and their attempts
//     fail until Shutdown.
//
// Which Targets share connections is said at websock.Mux. Prepare may change the header and the path of
// each attempt; if it also makes another *tls.Config or function, the attempt shares no connection.
//
// # Topics
//
// Broadcast sends a message to all slots, BroadcastTo to those that a function chooses, and Publish to
// those that are subscribed to a topic, a name that exists while a slot is subscribed to it:
//
//	g.Find("alice").Subscribe("room 7")
//	g.Publish("room 7", websock.OpText, []byte("hello"))
//
// BroadcastTo visits every slot, Publish only subscribers: a message to 10 slots costs the same with 100
// slots as with 100,000. In all else the three are the same: the message is compressed once, the Delivery
// says what has become of it, and slots that are down keep it, if they have a SendBuffer.
//
// # Delivery
//
// Messages are delivered at most once. A message that a send has accepted is lost if the
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
// transport/epoll there are no others, and with a Mux as many as its connections have, whatever
// the number of slots. Transports that can't queue, such as transport/std, have one
// for each connection; for these the Group keeps the queue, and writes it in goroutines that exist
// while something waits: a few, and one more for each peer that blocks one.
package fanout
