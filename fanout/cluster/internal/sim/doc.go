// Package sim runs whole clusters in simulated time while things fail, and sees that what a cluster
// promises is kept. It has only tests.
//
// What is real: the members (packages member, machine and assign), with all they write and read. What
// is simulated: time (a testing/synctest bubble), the store, and the connections.
//
//   - The store has records with revisions in one order, and compares before it sets. Messages to and
//     from it take a time of their own for each member. Writes may be lost, or arrive long after the
//     member gave them up; answers may be lost; watches lag, end, and leave out what has been
//     overwritten before they delivered it.
//   - Connections are counted, and dialled one by one at the rate that a member is given. Some attempts
//     fail. Draining and cutting take a random time.
//   - The clock of each member has an origin and a speed of its own. There is no other clock: members
//     don't know the time of day, so nothing can happen when that is changed.
//
// What fails, by a schedule that depends on the seed alone: members join, leave, crash, are restarted,
// one or all of them, some with the name of another; they are paused for up to three leases, and run
// nothing until they wake up, with their connections still there; one, some or all are cut off from the
// store; connections are lost; members are slow.
//
// What is checked at each step, with a view of everything that no member has:
//
//   - No two members that run have a partition open, but for Overlap, for KeepConnections, and for a
//     member that has just woken up: that uses nothing, which is asked before anything else runs in it.
//   - A partition is opened with a higher token each time.
//   - A partition's record is changed only by its holder, unless the holder's session has ended. A
//     session is ended by others only if it hasn't been renewed for Lease.
//   - What members are allowed to dial is never more than Rate in sum, and in no second more attempts begin
//     than that, and one for each member.
//   - A member opens a partition only when about as many keys wait as are dialled in a second, or fewer, if
//     partitions are equal.
//   - A partition moves only to whom it belongs, by rendezvous hashing over the members that there
//     were at some time after its last move, in the order of the store.
//
// And when nothing fails any more:
//
//   - All keys are connected where they belong within a bounded time, and then nothing happens but
//     renewals.
//   - If one member joins, leaves or dies, only what has to move does, once. Nothing does if the store is
//     away for a quarter of the lease; or for two leases, with KeepConnections.
//   - When all leave, nothing is left.
//
// Run more seeds, or repeat one and see what happened in it, with
//
//	go test ./internal/sim -seeds 1000 -timeout 1h
//	go test ./internal/sim -seed 17
//
// Each has up to twelve members. Fifty members and a million keys take half a minute a seed:
//
//	go test ./internal/sim -run Fifty -bigs 3 -v
package sim
