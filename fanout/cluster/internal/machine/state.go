package machine

// A State is what a member is in its life.
type State uint8

// The states of a member.
const (
	Joining State = iota // it has no record yet
	Waiting              // its record exists, but not all others have taken it into account: it dials nothing
	Live                 // it takes partitions, holds them, and hands them over
	Adrift               // as Live, but its deadline has passed and it keeps its connections: it takes nothing
	Cutting              // its session is lost: all connections are being aborted
	Leaving              // it hands over what it holds, and takes nothing
	Erasing              // it holds nothing any more, and deletes its record
	Left                 // it is no member any more, and never will be again
)

// states is what holds in each state, and which may follow.
var states = [...]struct {
	name   string
	renews bool // it has a session, and its record is renewed
	dials  bool // it may open connections, and all members take its share of the rate into account
	next   []State
}{
	Joining: {"joining", false, false, []State{Waiting, Erasing}},
	Waiting: {"waiting", true, false, []State{Live, Cutting, Leaving}},
	Live:    {"live", true, true, []State{Adrift, Cutting, Leaving}},
	Adrift:  {"adrift", true, true, []State{Live, Cutting, Leaving}},
	Cutting: {"cutting", false, false, []State{Joining, Erasing}},
	Leaving: {"leaving", true, true, []State{Cutting, Erasing}},
	Erasing: {"erasing", false, false, []State{Left}},
	Left:    {"left", false, false, nil},
}

// String returns the name of a state, in lower case.
func (s State) String() string {
	if int(s) < len(states) {
		return states[s].name
	}
	return "unknown"
}

// A PartState is what a partition is for this member.
type PartState uint8

// The states of a partition. From Held to Closing it has connections here, or may have.
const (
	Foreign      PartState = iota // not this member's
	Claiming                      // was free: the write that makes it this member's is under way
	Parked                        // this member's, without connections
	Held                          // this member's, connected
	Draining                      // this member's, its connections are being closed
	Transferring                  // without connections: the write that hands it over is under way
	Ceding                        // still connected: the write that hands it over is under way
	Overlapping                   // another member's, still connected until that one is ready
	Closing                       // another member's, its connections here are being closed
)

var partStateNames = [...]string{
	"foreign", "claiming", "parked", "held", "draining", "transferring", "ceding", "overlapping", "closing",
}

// String returns the name of a state, in lower case.
func (s PartState) String() string {
	if int(s) < len(partStateNames) {
		return partStateNames[s]
	}
	return "unknown"
}
