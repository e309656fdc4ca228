// Package exchange is an exchange that sends order books over WebSockets, and misbehaves on request as
// real ones do.
//
// A client subscribes to a book, with {"op":"subscribe","symbol":"BTC-USD"}, and gets a snapshot and then
// updates:
//
//	{"type":"snapshot","symbol":"BTC-USD","seq":7,"time":1764237600000,
//	 "bids":[["100.10","2"],…],"asks":[…],"checksum":3735928559}
//	{"type":"update","symbol":"BTC-USD","prev":7,"seq":9,"time":…,"bids":[["100.10","0"]],"asks":[],"checksum":…}
//
// A subscription once more gets a fresh snapshot. Each subscription has sequence numbers of its own.
// Prices without size are removed. The checksum is CRC-32 (IEEE) of the text
// "bid price:bid size:ask price:ask size:…" of the best ten levels after the message. An update without
// changes says that the book is still the same.
//
// The exchange limits the subscriptions a second of a connection, and answers those beyond with
// {"type":"error",…}. It pings each connection every three minutes and closes those that don't answer with
// the payload of the ping. After 24 hours it ends a connection with code 1001. During maintenance it
// closes connections with code 4001 and answers handshakes with status 503, and with code 4003 it tells a
// client not to come back.
package exchange
