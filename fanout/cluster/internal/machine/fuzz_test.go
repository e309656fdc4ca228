package machine

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"
)

// Whatever a machine is told, and in whatever order, it doesn't fail, does nothing without a session,
// and doesn't spin.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, "member.b", `{"session":1,"weight":1,"wants":[0,1,2]}`)
	f.Add([]byte{1, 3, 0, 3, 0, 3, 0, 9, 9, 2, 1, 6, 7}, "part.1", `{"member":"a","session":2}`)
	f.Add([]byte{1, 3, 3, 3, 12, 12, 12, 3, 5, 11, 0, 9, 10}, "config", `{"version":1,"partitions":4,"lease":1000000000}`)
	f.Add([]byte{1, 3, 3, 3, 12, 12, 12, 3, 5, 11, 0, 9, 10}, "member.a", `{"dead":true}`)
	f.Fuzz(func(t *testing.T, steps []byte, key, value string) {
		m := New(Settings{
			ID: "a", Weight: 1, Partitions: 4, Lease: time.Second, Margin: 250 * time.Millisecond, Rate: 10,
			Overlap: time.Duration(len(steps)%2) * 100 * time.Millisecond, KeepConnections: len(steps)%3 == 0,
		})
		now, revision := time.Hour, uint64(0)
		var pending []Write
		open := map[int]bool{}
		take := func(actions []Action) {
			for _, a := range actions {
				switch a := a.(type) {
				case Write:
					if a.Value != nil && !json.Valid(a.Value) {
						t.Fatalf("it writes %q", a.Value)
					}
					for _, p := range pending {
						if p.Key == a.Key {
							t.Fatalf("two writes of %s are under way", a.Key)
						}
					}
					pending = append(pending, a)
				case Open:
					if open[a.Partition] || m.own.session == 0 {
						t.Fatalf("it opens %d", a.Partition)
					}
					open[a.Partition] = true
				case Drain:
					if !open[a.Partition] {
						t.Fatalf("it drains %d, which isn't open", a.Partition)
					}
				case Cut:
					clear(open)
				}
			}
		}
		for i, step := range steps {
			now += time.Duration(step) * time.Millisecond
			arg := int(step) / 16
			switch step % 16 {
			case 0:
				revision += uint64(arg)
				take(m.Watched(now, Record{Key: key, Value: []byte(value), Revision: revision, Deleted: arg == 3}))
			case 1:
				take(m.Snapshot(now))
			case 2:
				take(m.WatchLost(now))
			case 3, 4, 5, 13, 14, 15:
				if len(pending) > 0 {
					w := pending[0]
					pending = pending[1:]
					switch {
					case step%16 == 4:
						take(m.Written(now, w.Key, Lost, 0))
					case step%16 == 5:
						take(m.Written(now, w.Key, Refused, 0))
					default:
						revision++
						told := revision
						if w.Value == nil {
							told = 0
						}
						record := Record{Key: w.Key, Value: w.Value, Revision: revision, Deleted: w.Value == nil}
						take(m.Written(now, w.Key, Accepted, told))
						take(m.Watched(now, record))
					}
				}
			case 6:
				p := arg % 4
				if m.parts.all[p].state == Draining || m.parts.all[p].state == Closing {
					delete(open, p)
				}
				take(m.Ended(now, p))
			case 7:
				take(m.CutDone(now))
			case 8:
				take(m.Load(now, Report{Keys: arg}, arg))
			case 9:
				take(m.Settled(now, arg))
			case 10:
				if i%7 == 0 {
					take(m.Leave(now))
				}
			case 11:
				if i%11 == 0 {
					take(m.Abandon(now))
				}
			case 12:
				revision++
				take(m.Watched(now, Record{Key: fmt.Sprint("part.", arg), Value: []byte(value), Revision: revision}))
			}
			take(m.Tick(now))
			if next := m.Next(); next <= now {
				t.Fatalf("after a Tick, Next is %v ago", now-next)
			}
			m.Status(now)
		}
	})
}
