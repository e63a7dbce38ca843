package jt808

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"
)

var start = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func packages(t testing.TB, h Header, body []byte, size int) (messages []Message) {
	t.Helper()
	stream, used, err := AppendSplit(nil, h, body, size)
	if err != nil {
		t.Fatal(err)
	}
	messages = readAll(t, bytes.NewReader(stream))
	if len(messages) != int(used) {
		t.Fatalf("%d messages, %d serial numbers used", len(messages), used)
	}
	return messages
}

func TestReassembler(t *testing.T) {
	body := make([]byte, 2500)
	for i := range body {
		body[i] = byte(i)
	}
	h := Header{ID: IDLocationBatch, Version: Version2019, ProtocolVersion: 1, SIM: sim(t, "064959409438"), Serial: 0xfffe}
	for name, order := range map[string][]int{
		"in order":        {0, 1, 2},
		"backwards":       {2, 1, 0},
		"repeated":        {0, 0, 1, 1, 2},
		"last comes late": {1, 2, 0},
	} {
		t.Run(name, func(t *testing.T) {
			parts := packages(t, h, body, 0)
			r := NewReassembler(ReassemblerOptions{})
			for i, n := range order {
				m := parts[n]
				complete, err := r.Push(&m, start)
				if err != nil || complete != (i == len(order)-1) {
					t.Fatalf("%d: %v %v", i, complete, err)
				}
				if complete && (m.Header != h || !bytes.Equal(m.Body, body)) {
					t.Fatalf("got %+v, %d bytes", m.Header, len(m.Body))
				}
			}
			if r.Held() != 0 || r.partial != nil {
				t.Fatalf("holds %d bytes", r.Held())
			}
		})
	}
}

func TestReassemblerLeavesWholeMessages(t *testing.T) {
	h := Header{ID: IDHeartbeat, Version: Version2013, SIM: sim(t, "064959409438"), Serial: 3}
	parts := packages(t, h, []byte("short"), 0)
	complete, err := NewReassembler(ReassemblerOptions{}).Push(&parts[0], start)
	if err != nil || !complete || parts[0].Header != h {
		t.Fatal(complete, err, parts[0])
	}
}

func TestReassemblerStartsOver(t *testing.T) {
	h := Header{ID: IDLocationBatch, Version: Version2013, Serial: 1}
	first := packages(t, h, []byte("aaabbbccc"), 3)
	h.Serial = 9
	second := packages(t, h, []byte("dddeeefff"), 3)
	h.Serial = 20
	other := packages(t, h, []byte("gggh"), 3)
	r := NewReassembler(ReassemblerOptions{})
	// A number again under a new serial number, then another total: each time the message is a new one.
	for _, m := range []Message{first[0], first[1], second[0], other[0]} {
		if complete, err := r.Push(&m, start); complete || err != nil {
			t.Fatal(complete, err)
		}
	}
	if r.Held() != 3 {
		t.Fatalf("holds %d bytes", r.Held())
	}
	m := other[1]
	if complete, err := r.Push(&m, start); !complete || err != nil || string(m.Body) != "gggh" {
		t.Fatal(complete, err, m)
	}
}

func TestReassemblerLimits(t *testing.T) {
	h := Header{ID: IDLocationBatch, Version: Version2013}
	r := NewReassembler(ReassemblerOptions{MaxPackages: 3, MaxBytes: 8, MaxMessages: 2, Timeout: time.Minute})
	push := func(id MessageID, m Message, at time.Time) (bool, error) {
		m.Header.ID = id
		return r.Push(&m, at)
	}

	if _, err := push(1, packages(t, h, []byte("abcd"), 1)[0], start); !errors.Is(err, ErrReassembly) {
		t.Errorf("4 packages: %v", err)
	}
	large := packages(t, h, []byte("aaaaabbbbb"), 5)
	push(1, large[0], start)
	if _, err := push(1, large[1], start); !errors.Is(err, ErrReassembly) || r.Held() != 0 {
		t.Errorf("10 bytes: %v, holds %d", err, r.Held())
	}
	small := packages(t, h, []byte("ab"), 1)
	for id := range MessageID(3) {
		push(id, small[0], start)
	}
	if r.Held() != 2 {
		t.Errorf("three messages: holds %d", r.Held())
	}
	if complete, _ := push(2, small[1], start.Add(time.Minute)); !complete {
		t.Error("the newest message was dropped")
	}
	if complete, _ := push(1, small[1], start.Add(time.Minute+1)); complete || r.Held() != 1 {
		t.Errorf("a late package completed its message, or something else is held: %d", r.Held())
	}
	r.Expire(start.Add(3 * time.Minute))
	if r.Held() != 0 {
		t.Errorf("holds %d bytes of what is late", r.Held())
	}
}

// FuzzReassembler: whatever comes, what is held stays within the limits.
func FuzzReassembler(f *testing.F) {
	stream, _, err := AppendSplit(nil, Header{ID: IDLocationBatch, Version: Version2013}, make([]byte, 300), 100)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stream)
	f.Add(append(stream, stream...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		options := ReassemblerOptions{MaxPackages: 8, MaxBytes: 512, MaxMessages: 2, Timeout: time.Second}
		r := NewReassembler(options)
		in := NewReader(bytes.NewReader(stream))
		now := start
		for {
			var m Message
			if err := in.Read(&m); errors.Is(err, io.EOF) {
				return
			} else if err != nil {
				continue
			}
			now = now.Add(100 * time.Millisecond)
			total := m.Header.Total
			complete, err := r.Push(&m, now)
			if complete && (m.Header.Split() || err != nil) {
				t.Fatal(m.Header, err)
			}
			if complete && total > 0 && len(m.Body) > options.MaxBytes {
				t.Fatalf("%d bytes", len(m.Body))
			}
			held := 0
			for _, p := range r.partial {
				for _, part := range p.parts {
					held += len(part.body)
				}
			}
			if held != r.Held() || held > options.MaxBytes || len(r.partial) > options.MaxMessages {
				t.Fatalf("holds %d, says %d, %d messages", held, r.Held(), len(r.partial))
			}
		}
	})
}
