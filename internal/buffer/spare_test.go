package buffer

import "testing"

func TestASpareKeepsOneBuffer(t *testing.T) {
	var s Spare
	defer s.Drop()
	lent := Lent()
	first, second := s.Get(1000), s.Get(1000)
	first.B = append(first.B, "old"...)
	s.Put(first)
	s.Put(second)
	if Lent() != lent {
		t.Errorf("%d buffers are lent, want %d", Lent(), lent)
	}
	if larger := s.Get(2000); larger == first || cap(larger.B) < 2000 {
		t.Errorf("a buffer of %d bytes for 2000", cap(larger.B))
	} else {
		larger.Put()
	}
	again := s.Get(1000)
	if again != first || len(again.B) != 0 {
		t.Errorf("the buffer kept isn't used again, or has %q", again.B)
	}
	s.Put(again)
}

func TestASpareDoesNotKeepLargeBuffers(t *testing.T) {
	var s Spare
	s.Put(Get(spareSize + 1))
	if s.buffer != nil {
		t.Errorf("a buffer of %d bytes is kept", cap(s.buffer.B))
	}
}

func TestASpareIsEmptyAfterDrop(t *testing.T) {
	var s Spare
	lent := Lent()
	s.Put(s.Get(1000))
	s.Drop()
	s.Drop()
	if s.buffer != nil || Lent() != lent {
		t.Errorf("%v is kept, %d buffers are lent, want %d", s.buffer, Lent(), lent)
	}
}
