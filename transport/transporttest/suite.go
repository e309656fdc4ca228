package transporttest

import (
	"net"
	"testing"

	"github.com/seed004e8d11/websock"
	"github.com/seed004e8d11/websock/internal/netpair"
	"github.com/seed004e8d11/websock/transport"
)

// A Suite is the tests for one transport.
type Suite struct {
	// Factory makes the transport. websock.Attach puts TLS over it.
	Factory transport.Factory

	// Networks that are tried: "tcp", "unix", "pipe", and "tunnel", a connection on which
	// no deadline can be set.
	Networks []string

	// Secure turns the two ends of a network connection into those of a TLS
	// connection; nil: there is no TLS.
	Secure func(t testing.TB, client, server net.Conn) (net.Conn, net.Conn)

	// Allocates is how many allocations an echo may take, both ways together.
	Allocates float64

	// BlindPoll says that a receive without time to wait can miss what is here.
	BlindPoll bool

	// Parallel makes the tests run in parallel, except those that measure the process. It can be
	// set for transports where a Handler that blocks does not hold up other connections.
	Parallel bool
}

// Run runs all tests.
func (s Suite) Run(t *testing.T) {
	tests := []struct {
		name     string
		run      func(t *testing.T)
		measures bool // allocations, goroutines or descriptors of the process
	}{
		{"EchoOfEverySize", s.testEchoOfEverySize, false},
		{"TimeoutsLoseNoByteOfASlowStream", s.testTimeoutsLoseNoByteOfASlowStream, false},
		{"RecvTimeoutOfZeroReturnsWhatHasArrived", s.testRecvTimeoutOfZeroReturnsWhatHasArrived, false},
		{"EarlyBytesAreReceivedFirst", s.testEarlyBytesAreReceivedFirst, false},
		{"ManySendersOneReceiver", s.testManySendersOneReceiver, false},
		{"SendDeadlineIsFatal", s.testSendDeadlineIsFatal, false},
		{"EchoAllocatesNothing", s.testEchoAllocatesNothing, true},
		{"CloseFromAnotherGoroutineEndsAReceive", s.testCloseFromAnotherGoroutineEndsAReceive, false},
		{"BothSidesClosingAtOnce", s.testBothSidesClosingAtOnce, false},
		{"CloseDiscardsWhatThePeerKeepsSending", s.testCloseDiscardsWhatThePeerKeepsSending, false},
		{"CloseAbortsIfThePeerDoesNotRead", s.testCloseAbortsIfThePeerDoesNotRead, false},
		{"AHandlerGetsEarlyAndLaterBytes", s.testAHandlerGetsEarlyAndLaterBytes, false},
		{"SetHandlerDoesNotCallTheHandlerItself", s.testSetHandlerDoesNotCallTheHandlerItself, false},
		{"OnCloseFollowsAnEndThatArrivesWithTheLastBytes", s.testOnCloseFollowsAnEndThatArrivesWithTheLastBytes, false},
		{"HandlersEchoUntilClose", s.testHandlersEchoUntilClose, false},
		{"OnCloseReportsAPeerThatDoesNotAnswerTheClose", s.testOnCloseReportsAPeerThatDoesNotAnswerTheClose, false},
		{"TheRecvDeadlineEndsAConnectionWithAHandler", s.testTheRecvDeadlineEndsAConnectionWithAHandler, false},
		{"DeadlineAndCloseEndAConnectionWhosePeerKeepsSending", s.testDeadlineAndCloseEndAConnectionWhosePeerKeepsSending, false},
		{"NoDataComesDuringAPause", s.testNoDataComesDuringAPause, false},
		{"ShortPausesLoseNothing", s.testShortPausesLoseNothing, false},
		{"TheRecvDeadlineEndsAPause", s.testTheRecvDeadlineEndsAPause, false},
		{"CloseDuringAPauseLosesNothing", s.testCloseDuringAPauseLosesNothing, false},
		{"AbortInsideACallbackReturns", s.testAbortInsideACallbackReturns, false},
		{"AbortDoesNotWaitForAHandler", s.testAbortDoesNotWaitForAHandler, false},
		{"AbortDoesNotWaitForThePeer", s.testAbortDoesNotWaitForThePeer, false},
		{"AbortingManyStartsNoGoroutines", s.testAbortingManyStartsNoGoroutines, true},
		{"EveryEndFreesTheDescriptor", s.testEveryEndFreesTheDescriptor, true},
		{"OnCloseComesOnceWhateverIsCalled", s.testOnCloseComesOnceWhateverIsCalled, false},
		{"HandlersCanAbortEachOther", s.testHandlersCanAbortEachOther, false},
		{"NoDataComesAfterAbort", s.testNoDataComesAfterAbort, false},
		{"NoDataComesDuringAPauseWhateverEndsIt", s.testNoDataComesDuringAPauseWhateverEndsIt, false},
		{"AStalledPeerDelaysNoOtherConnection", s.testAStalledPeerDelaysNoOtherConnection, false},
		{"ABlockedSenderLosesNothing", s.testABlockedSenderLosesNothing, false},
		{"PeersThatBothSendMuchDoNotDeadlock", s.testPeersThatBothSendMuchDoNotDeadlock, false},
		{"PanicAndGoexitEndOnlyTheirConnection", s.testPanicAndGoexitEndOnlyTheirConnection, false},
		{"TrySendNeverBlocks", s.testTrySendNeverBlocks, false},
		{"SendContextSendsNothingWhenItsContextEnds", s.testSendContextSendsNothingWhenItsContextEnds, false},
		{"CancellingSendContextInTheMiddleOfAFrameIsFatal", s.testCancellingSendContextInTheMiddleOfAFrameIsFatal, false},
		{"AHandlerNeverBlocksOnItsOwnQueue", s.testAHandlerNeverBlocksOnItsOwnQueue, false},
		{"APreparedMessageArrives", s.testAPreparedMessageArrives, false},
		{"ADeadlineInterruptsALargeBacklog", s.testADeadlineInterruptsALargeBacklog, false},
		{"ALargeBacklogIsReceivedWhole", s.testALargeBacklogIsReceivedWhole, false},
		{"NetConnIsANetConn", s.testNetConnIsANetConn, false},
		{"NetConnFailsAfterAWriteTimedOut", s.testNetConnFailsAfterAWriteTimedOut, false},
		{"CallsAfterTheEndReturnACloseError", s.testCallsAfterTheEndReturnACloseError, false},
		{"BlockedSendersReturnAtTheEnd", s.testBlockedSendersReturnAtTheEnd, false},
		{"ConcurrentCallsEndEachConnectionOnce", s.testConcurrentCallsEndEachConnectionOnce, false},
		{"ASendErrorWithoutAnEventReachesTheHandler", s.testASendErrorWithoutAnEventReachesTheHandler, false},
		{"EveryAcceptedMessageArrivesOnce", s.testEveryAcceptedMessageArrivesOnce, false},
		{"NextReaderLosesNothingAtTimeouts", s.testNextReaderLosesNothingAtTimeouts, false},
		{"AHandlerContinuesAfterRecv", s.testAHandlerContinuesAfterRecv, false},
		{"TLSReturnsTheStateOfTheConnection", s.testTLSReturnsTheStateOfTheConnection, false},
		{"AFailedSendLosesNoReceivedMessage", s.testAFailedSendLosesNoReceivedMessage, false},
		{"ReceivingEndsCloseTimeoutAfterAFailedSend", s.testReceivingEndsCloseTimeoutAfterAFailedSend, false},
		{"NothingExtendsTheCloseTimeout", s.testNothingExtendsTheCloseTimeout, false},
		{"CloseInASlowHandlerLosesNothing", s.testCloseInASlowHandlerLosesNothing, false},
		{"ABlockedHandlerDoesNotDelayTheCloseForThePeer", s.testABlockedHandlerDoesNotDelayTheCloseForThePeer, false},
		{"ASendDeadlineHoldsWhileAHandlerBlocks", s.testASendDeadlineHoldsWhileAHandlerBlocks, false},
		{"NothingExtendsRecvTimeout", s.testNothingExtendsRecvTimeout, false},
		{"ARecvDeadlineIsNotLost", s.testARecvDeadlineIsNotLost, false},
		{"ASendDoesNotWaitForAHandler", s.testASendDoesNotWaitForAHandler, false},
		{"EveryCallReturnsWhenTheConnectionEnds", s.testEveryCallReturnsWhenTheConnectionEnds, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !test.measures {
				s.mayRunInParallel(t)
			}
			test.run(t)
		})
	}
}

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
	c, err := websock.Attach(s.Factory, conn, early)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (s Suite) sockets(t testing.TB, network string) (client, server net.Conn) {
	client, server = netpair.Sockets(t, network)
	if s.Secure != nil {
		client, server = s.Secure(t, client, server)
	}
	return client, server
}

// pair returns two connected Conns.
func (s Suite) pair(t testing.TB, network string, limits websock.Limits) (client, server *websock.Conn) {
	a, b := s.sockets(t, network)
	return s.conn(t, a, websock.Client, limits), s.conn(t, b, websock.Server, limits)
}

func (s Suite) conn(t testing.TB, conn net.Conn, role websock.Role, limits websock.Limits) *websock.Conn {
	t.Helper()
	return websock.NewConn(s.attach(t, conn, nil), role, websock.Options{Limits: limits})
}

// Benchmark measures echoes over TCP, pulled and pushed.
func (s Suite) Benchmark(b *testing.B) {
	for _, mode := range []string{"pull", "push"} {
		b.Run(mode, func(b *testing.B) {
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
				client.SetHandler(websock.Messages(func(c *websock.Conn, op websock.Opcode, msg []byte) {
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
