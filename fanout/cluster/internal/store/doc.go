// Package store keeps the records of a cluster where all of its members see them.
//
// A Store is what members need of it: writes that succeed only if nobody else has written meanwhile,
// and a watch of all changes in one order. A Bucket is a Store in a key-value bucket of NATS
// JetStream. Package storetest has one in memory, and the tests that every Store passes.
//
// # What a Bucket is made of
//
// A bucket is one JetStream stream with one message a key, so the sequence numbers of the stream are
// revisions of the whole bucket. Writes carry the revision that they replace, which the leader of the
// stream checks. A deletion is a message, too: its marker stays for MarkerTTL and is then removed by
// the server, so that keys which come and go leave nothing behind.
//
// # What a watch promises
//
// A watch reads the stream through a consumer of its own, of which it knows the number of each
// message. It repairs nothing: when a number is missing, when the consumer, its server or the
// connection is lost, or when nothing, not even a heartbeat, has come for two seconds, the watch ends,
// and a new one begins with all records. Its user knows that it saw everything, until it is told that
// it did not.
//
// The mark, after which all records have been seen, is exact: every record that there was when Watch
// was called has been delivered, in that or a later revision, also if records are written all the
// while, and also if the consumer reads a replica that lags behind the leader. (In a bucket of more
// than 20,000 keys, a record that is written twice within the moment before the mark may come after it.)
package store
