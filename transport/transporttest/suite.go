package transporttest

import (
	"net"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

// A Suite tests one transport. Factory and Networks must be set; a transport that is none of this
// module's needs the other fields only to say what it can't do, and to be tested over TLS.
type Suite struct {
	// Factory makes the transport of both ends of each connection, through websock.Attach. A
	// net.Conn for which it returns transport.ErrUnsupported is carried by transport/std, as in
	// programs, so that tests over it prove nothing about Factory.
	Factory transport.Factory

	// Networks has the kinds of net.Conn that Factory carries, each tested where it may make a
	// difference: "tcp" and "unix", sockets on this machine; "pipe", net.Pipe; "tunnel", TCP on
	// which no deadline can be set. All other tests are over TCP.
	Networks []string

	// TLS is a version, such as tls.VersionTLS13, of TLS that is put over Factory's transport,
	// as for wss. 0 is none. Programs need both, so run the suite without TLS and with it.
	TLS uint16

	// CryptoTLS makes the TLS connections with crypto/tls alone, not with transport/tls, so that
	// Factory gets a net.Conn that is a *tls.Conn: that of a dialer of a program's own, for
	// example.
	CryptoTLS bool

	// Over, unless nil, puts something over the two ends of a connection that has several streams,
	// such as HTTP/2, and returns the two ends of a stream. This comes after TLS. Factory gets
	// these ends in place of sockets and must carry them. For peers, tests use them as they use
	// sockets: Write waits for the peer, which may not read, Close does not wait for long, and a
	// method CloseWrite is used if there is one. Over ends what it began in a Cleanup of t. Tests
	// of what only sockets have, such as descriptors, are skipped.
	Over func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn)

	// EchoAllocs is how many allocations an echo of up to 64 KiB may cost on average, both peers
	// together. Over TLS, four are allowed anyway. crypto/tls makes one for each read from the
	// transport, so a transport that reads in small pieces needs more.
	EchoAllocs float64

	// NoPoll skips the test that a receive with a timeout of zero returns what has arrived:
	// where only a deadline ends a read, a read whose deadline has passed returns nothing.
	NoPoll bool

	// Goroutines skips the test that aborting connections starts no goroutines, for a transport over
	// something that does so.
	Goroutines bool

	// Parallel makes the tests run in parallel, except those that measure the process. It can be
	// set for transports where a Handler that blocks does not delay other connections.
	Parallel bool

	pushes, queues bool // the transport is a transport.Pusher, and a transport.Queue
}

// A need is what a test requires.
type need uint8

const (
	pusher  need = 1 << iota // a transport.Pusher
	queue                    // a transport.Queue
	alone                    // no other test beside it, since it measures the process
	sockets                  // a socket for each connection
)

// Run runs all tests, each as a subtest. Those of what the transport does not implement are skipped:
// transport.Pusher for Handlers, transport.Queue for sends that don't block.
func (s Suite) Run(t *testing.T) {
	s.inspect(t)
	tests := []struct {
		name  string
		run   func(t *testing.T)
		needs need
	}{
		{"AttachLeavesWhatItRefuses", s.testAttachLeavesWhatItRefuses, 0},
		{"ReservationsAreReleased", s.testReservationsAreReleased, alone},
		{"EchoOfEverySize", s.testEchoOfEverySize, 0},
		{"TimeoutsLoseNoByteOfASlowStream", s.testTimeoutsLoseNoByteOfASlowStream, 0},
		{"RecvTimeoutOfZeroReturnsWhatHasArrived", s.testRecvTimeoutOfZeroReturnsWhatHasArrived, 0},
		{"EarlyBytesAreReceivedFirst", s.testEarlyBytesAreReceivedFirst, 0},
		{"ManySendersOneReceiver", s.testManySendersOneReceiver, 0},
		{"SendDeadlineIsFatal", s.testSendDeadlineIsFatal, 0},
		{"EchoAllocatesNothing", s.testEchoAllocatesNothing, alone},
		{"CloseFromAnotherGoroutineEndsAReceive", s.testCloseFromAnotherGoroutineEndsAReceive, 0},
		{"BothSidesClosingAtOnce", s.testBothSidesClosingAtOnce, 0},
		{"CloseDiscardsWhatThePeerKeepsSending", s.testCloseDiscardsWhatThePeerKeepsSending, 0},
		{"CloseAbortsIfThePeerDoesNotRead", s.testCloseAbortsIfThePeerDoesNotRead, 0},
		{"AHandlerGetsEarlyAndLaterBytes", s.testAHandlerGetsEarlyAndLaterBytes, pusher},
		{"SetHandlerDoesNotCallTheHandlerItself", s.testSetHandlerDoesNotCallTheHandlerItself, pusher},
		{"OnCloseFollowsAnEndThatArrivesWithTheLastBytes", s.testOnCloseFollowsAnEndThatArrivesWithTheLastBytes, pusher},
		{"HandlersEchoUntilClose", s.testHandlersEchoUntilClose, pusher},
		{"OnCloseReportsAPeerThatDoesNotAnswerTheClose", s.testOnCloseReportsAPeerThatDoesNotAnswerTheClose, pusher},
		{"TheRecvDeadlineEndsAConnectionWithAHandler", s.testTheRecvDeadlineEndsAConnectionWithAHandler, pusher},
		{"DeadlineAndCloseEndAConnectionWhosePeerKeepsSending", s.testDeadlineAndCloseEndAConnectionWhosePeerKeepsSending, pusher},
		{"NoDataComesDuringAPause", s.testNoDataComesDuringAPause, pusher},
		{"ShortPausesLoseNothing", s.testShortPausesLoseNothing, pusher},
		{"TheRecvDeadlineEndsAPause", s.testTheRecvDeadlineEndsAPause, pusher},
		{"CloseDuringAPauseLosesNothing", s.testCloseDuringAPauseLosesNothing, pusher},
		{"ResumeWakesAReceiverThatWaits", s.testResumeWakesAReceiverThatWaits, pusher},
		{"ResumeDuringReadableLeadsToAnother", s.testResumeDuringReadableLeadsToAnother, pusher},
		{"ResumeKeepsTheReadDeadline", s.testResumeKeepsTheReadDeadline, pusher},
		{"AbortInsideACallbackReturns", s.testAbortInsideACallbackReturns, pusher},
		{"AbortDoesNotWaitForAHandler", s.testAbortDoesNotWaitForAHandler, pusher},
		{"AbortDoesNotWaitForThePeer", s.testAbortDoesNotWaitForThePeer, 0},
		{"AbortingManyStartsNoGoroutines", s.testAbortingManyStartsNoGoroutines, pusher | alone},
		{"EveryEndFreesTheDescriptor", s.testEveryEndFreesTheDescriptor, pusher | alone | sockets},
		{"EveryEndReturnsItsBuffers", s.testEveryEndReturnsItsBuffers, alone},
		{"OnCloseComesOnceWhateverIsCalled", s.testOnCloseComesOnceWhateverIsCalled, pusher},
		{"HandlersCanAbortEachOther", s.testHandlersCanAbortEachOther, pusher},
		{"NoDataComesAfterAbort", s.testNoDataComesAfterAbort, pusher},
		{"NoDataComesDuringAPauseWhateverEndsIt", s.testNoDataComesDuringAPauseWhateverEndsIt, pusher},
		{"AStalledPeerDelaysNoOtherConnection", s.testAStalledPeerDelaysNoOtherConnection, pusher},
		{"ABlockedSenderLosesNothing", s.testABlockedSenderLosesNothing, pusher},
		{"PeersThatBothSendMuchDoNotDeadlock", s.testPeersThatBothSendMuchDoNotDeadlock, pusher},
		{"PanicAndGoexitEndOnlyTheirConnection", s.testPanicAndGoexitEndOnlyTheirConnection, pusher},
		{"AReceiverIsPushedAgainAfterGoexit", s.testAReceiverIsPushedAgainAfterGoexit, pusher},
		{"EachCallMayEndItsGoroutine", s.testEachCallMayEndItsGoroutine, pusher},
		{"GoexitAtTheEndOfAReceiver", s.testGoexitAtTheEndOfAReceiver, pusher},
		{"AReceiverPushedAgainFreesTheDescriptor", s.testAReceiverPushedAgainFreesTheDescriptor, pusher | alone | sockets},
		{"WhatIsWrittenBehindComesFirst", s.testWhatIsWrittenBehindComesFirst, pusher | queue},
		{"TrySendNeverBlocks", s.testTrySendNeverBlocks, queue},
		{"APendingWriteIsFinishedAndFollowed", s.testAPendingWriteIsFinishedAndFollowed, queue},
		{"APendingWriteEndsWithItsConnection", s.testAPendingWriteEndsWithItsConnection, queue},
		{"SendContextSendsNothingWhenItsContextEnds", s.testSendContextSendsNothingWhenItsContextEnds, queue},
		{"CancellingSendContextInTheMiddleOfAFrameIsFatal", s.testCancellingSendContextInTheMiddleOfAFrameIsFatal, queue},
		{"AHandlerNeverBlocksOnItsOwnQueue", s.testAHandlerNeverBlocksOnItsOwnQueue, pusher | queue},
		{"APreparedMessageArrives", s.testAPreparedMessageArrives, 0},
		{"ADeadlineInterruptsALargeBacklog", s.testADeadlineInterruptsALargeBacklog, pusher},
		{"ALargeBacklogIsReceivedWhole", s.testALargeBacklogIsReceivedWhole, pusher},
		{"NetConnIsANetConn", s.testNetConnIsANetConn, queue},
		{"NetConnFailsAfterAWriteTimedOut", s.testNetConnFailsAfterAWriteTimedOut, queue},
		{"CallsAfterTheEndReturnACloseError", s.testCallsAfterTheEndReturnACloseError, 0},
		{"BlockedSendersReturnAtTheEnd", s.testBlockedSendersReturnAtTheEnd, 0},
		{"ConcurrentCallsEndEachConnectionOnce", s.testConcurrentCallsEndEachConnectionOnce, pusher | queue},
		{"ASendErrorWithoutAnEventReachesTheHandler", s.testASendErrorWithoutAnEventReachesTheHandler, pusher | sockets},
		{"EveryAcceptedMessageArrivesOnce", s.testEveryAcceptedMessageArrivesOnce, queue},
		{"NextReaderLosesNothingAtTimeouts", s.testNextReaderLosesNothingAtTimeouts, 0},
		{"AHandlerContinuesAfterRecv", s.testAHandlerContinuesAfterRecv, pusher},
		{"TLSReturnsTheStateOfTheConnection", s.testTLSReturnsTheStateOfTheConnection, 0},
		{"AFailedSendLosesNoReceivedMessage", s.testAFailedSendLosesNoReceivedMessage, 0},
		{"ReceivingEndsCloseTimeoutAfterAFailedSend", s.testReceivingEndsCloseTimeoutAfterAFailedSend, 0},
		{"NothingExtendsTheCloseTimeout", s.testNothingExtendsTheCloseTimeout, 0},
		{"CloseInASlowHandlerLosesNothing", s.testCloseInASlowHandlerLosesNothing, pusher},
		{"ABlockedHandlerDoesNotDelayTheCloseForThePeer", s.testABlockedHandlerDoesNotDelayTheCloseForThePeer, pusher},
		{"ASendDeadlineHoldsWhileAHandlerBlocks", s.testASendDeadlineHoldsWhileAHandlerBlocks, pusher},
		{"APassedSendDeadlineIsThatOfSendsOnly", s.testAPassedSendDeadlineIsThatOfSendsOnly, 0},
		{"ADeadlineMayBeFarAway", s.testADeadlineMayBeFarAway, 0},
		{"ASendAfterItsDeadlineFails", s.testASendAfterItsDeadlineFails, 0},
		{"PingsDoNotProlongASend", s.testPingsDoNotProlongASend, 0},
		{"UnreadPongsAreBoundedAfterTheSendDeadline", s.testUnreadPongsAreBoundedAfterTheSendDeadline, queue},
		{"NothingExtendsRecvTimeout", s.testNothingExtendsRecvTimeout, 0},
		{"ARecvDeadlineIsNotLost", s.testARecvDeadlineIsNotLost, 0},
		{"ASendDoesNotWaitForAHandler", s.testASendDoesNotWaitForAHandler, pusher},
		{"EveryCallReturnsWhenTheConnectionEnds", s.testEveryCallReturnsWhenTheConnectionEnds, 0},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s.require(t, test.needs)
			if test.needs&alone == 0 {
				s.mayRunInParallel(t)
			}
			test.run(t)
		})
	}
}

// inspect notes which interfaces the transport implements.
func (s *Suite) inspect(t testing.TB) {
	t.Helper()
	plain := *s
	plain.TLS = 0 // the transport of TLS has all methods, whatever is below
	client, _ := plain.sockets(t, s.Networks[0])
	c := plain.attach(t, client, nil)
	defer c.Close()
	_, s.pushes = c.(transport.Pusher)
	_, s.queues = c.(transport.Queue)
}

// require skips a test of what the transport does not implement or have.
func (s Suite) require(t testing.TB, needs need) {
	t.Helper()
	if needs&pusher != 0 && !s.pushes {
		t.Skip("the transport is not a transport.Pusher")
	}
	if needs&queue != 0 && !s.queues {
		t.Skip("the transport is not a transport.Queue")
	}
	if needs&sockets != 0 && s.Over != nil {
		t.Skip("the streams that Over returns have no sockets of their own")
	}
}

// eachNetwork runs f as a subtest for each network.
func (s Suite) eachNetwork(t *testing.T, f func(t *testing.T, network string)) {
	for _, network := range s.Networks {
		t.Run(network, func(t *testing.T) {
			s.mayRunInParallel(t)
			f(t, network)
		})
	}
}

func (s Suite) mayRunInParallel(t *testing.T) {
	if s.Parallel {
		t.Parallel()
	}
}

// eachRole runs f as a subtest for a client and for a server.
func (s Suite) eachRole(t *testing.T, f func(t *testing.T, role websock.Role)) {
	for _, role := range []websock.Role{websock.Client, websock.Server} {
		t.Run(role.String(), func(t *testing.T) {
			s.mayRunInParallel(t)
			f(t, role)
		})
	}
}

// attach makes a transport that is closed when the test ends.
func (s Suite) attach(t testing.TB, conn net.Conn, early []byte) transport.Conn {
	t.Helper()
	attach := s.Factory.Attach // not of transport/std instead
	if s.Over == nil {
		attach = func(conn net.Conn, early []byte) (transport.Conn, error) {
			return websock.Attach(s.Factory, conn, early)
		}
	}
	c, err := attach(conn, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sockets returns the two ends of a connection over a network, of TLS over it, and of what Over puts
// over that.
func (s Suite) sockets(t testing.TB, network string) (client, server net.Conn) {
	t.Helper()
	client, server = netpair.Sockets(t, network)
	switch {
	case s.TLS == 0:
	case s.CryptoTLS:
		client, server = netpair.SecuredByOthers(s.TLS)(t, client, server)
	default:
		client, server = netpair.SecuredBy(s.TLS)(t, client, server)
	}
	if s.Over != nil {
		client, server = s.Over(t, client, server)
	}
	return client, server
}

// pair returns two connected Conns.
func (s Suite) pair(t testing.TB, network string, limits websock.Limits) (client, server *websock.Conn) {
	a, b := s.sockets(t, network)
	return s.conn(t, a, websock.Client, limits), s.conn(t, b, websock.Server, limits)
}

// conn returns a Conn that is over when the test ends.
func (s Suite) conn(t testing.TB, conn net.Conn, role websock.Role, limits websock.Limits) *websock.Conn {
	t.Helper()
	return websock.NewConn(s.attach(t, conn, nil), role, websock.Options{Limits: limits})
}

// Benchmark measures echoes over TCP, received with RecvMessage ("pull") and by a Handler ("push").
func (s Suite) Benchmark(b *testing.B) {
	s.inspect(b)
	for _, mode := range []string{"pull", "push"} {
		b.Run(mode, func(b *testing.B) {
			if mode == "push" {
				s.require(b, pusher)
			}
			client, server := s.pair(b, "tcp", websock.Limits{})
			go echo(server)
			payload := make([]byte, 128)
			b.ReportAllocs()
			if mode == "pull" {
				buf := make([]byte, 0, 128)
				for b.Loop() {
					client.SendBinary(payload)
					if _, _, err := client.RecvMessage(buf); err != nil {
						b.Fatal(err)
					}
				}
			} else {
				done := make(chan struct{})
				n := 0
				setHandler(b, client, websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
					if n++; n == b.N {
						close(done)
						return
					}
					c.SendBinary(msg)
				}, nil))
				b.ResetTimer()
				client.SendBinary(payload)
				<-done
			}
			client.Close()
		})
	}
}
