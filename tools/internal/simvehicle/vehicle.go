package simvehicle

import (
	"context"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
)

// Vehicle is one simulated vehicle. Set the fields, call Start, and Close in the end.
type Vehicle struct {
	SIM      jt1078.SIM
	Version  jt808.Version // 0 means 2013; 2019 has ten bytes of SIM in both protocols
	Channels uint8         // logical channels 1 to Channels; 0 means 1

	// Gateway is the JT/T 808 address. Empty: the vehicle is never told anything.
	Gateway string
	// Media is dialled for every channel at once, unasked, when it is not empty.
	Media string

	// Content is what a channel shows, on its main or its sub stream; nil means Default for both. What a vehicle with
	// the fault ChangeAfter changes to is always the sub stream's; where Content is nil, Small.
	Content func(channel uint8, sub bool) *Content
	NoSound bool
	Faults  Faults

	Heartbeat time.Duration // 0 means 30 s
	Location  time.Duration // 0 means 10 s
	Retry     time.Duration // between attempts to reach the gateway; 0 means 1 s

	// Notify is told of every Event, from several goroutines; it must not call the vehicle and not block. May be nil.
	Notify func(Event)

	born   time.Time // zero of the vehicle's clock
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mutex   sync.Mutex // guards what follows
	streams map[uint8]*playing
	online  bool
	code    string // from the registration
}

// playing is a stream and how to end it.
type playing struct {
	*stream
	cancel context.CancelFunc
	done   chan struct{}
}

// EventKind is what happened to a vehicle.
type EventKind string

// Events.
const (
	EventOnline      EventKind = "online"       // registered and authenticated
	EventOffline     EventKind = "offline"      // the gateway's connection was lost; Detail says why
	EventStart       EventKind = "told to send" // 0x9101
	EventStop        EventKind = "told to stop" // 0x9102
	EventSending     EventKind = "sending"      // the media connection stands; Detail is where to
	EventMediaLost   EventKind = "media lost"   // Detail says why
	EventStreamEnded EventKind = "stopped"      // the stream is over
)

// Event is something that happened to a vehicle, for logs and tests.
type Event struct {
	Kind    EventKind
	SIM     jt1078.SIM
	Channel uint8 // 0: the whole vehicle
	Detail  string
}

// String is one line for people.
func (e Event) String() string {
	s := e.SIM.String()
	if e.Channel > 0 {
		s += fmt.Sprintf(" ch %d", e.Channel)
	}
	s += ": " + string(e.Kind)
	if e.Detail != "" {
		s += " (" + e.Detail + ")"
	}
	return s
}

// Start lets the vehicle live until Close.
func (v *Vehicle) Start() {
	if v.Version == 0 {
		v.Version = jt808.Version2013
	}
	v.Channels = max(v.Channels, 1)
	v.Heartbeat = orDefault(v.Heartbeat, 30*time.Second)
	v.Location = orDefault(v.Location, 10*time.Second)
	v.Retry = orDefault(v.Retry, time.Second)
	// Vehicles were not all switched on at the same moment: each is somewhere else in the loop.
	sum := fnv.New32a()
	sum.Write(v.SIM[:])
	v.born = time.Now().Add(-time.Duration(sum.Sum32()%60000) * time.Millisecond)
	v.streams = map[uint8]*playing{}
	v.ctx, v.cancel = context.WithCancel(context.Background())
	if v.Media != "" {
		for channel := range v.Channels {
			v.startStream(channel+1, v.Media, jt808.LiveStart{}, true)
		}
	}
	if v.Gateway != "" {
		v.wg.Go(v.signal)
	}
}

func orDefault(d, fallback time.Duration) time.Duration {
	if d <= 0 {
		return fallback
	}
	return d
}

// Close switches the vehicle off and waits until all it had started has ended.
func (v *Vehicle) Close() {
	v.cancel()
	v.wg.Wait()
}

// Online reports whether the gateway has accepted the vehicle.
func (v *Vehicle) Online() bool {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.online
}

// Active reports whether a channel is sending, or about to.
func (v *Vehicle) Active(channel uint8) bool {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.streams[channel] != nil
}

func (v *Vehicle) notify(kind EventKind, channel uint8, detail string) {
	if v.Notify != nil {
		v.Notify(Event{Kind: kind, SIM: v.SIM, Channel: channel, Detail: detail})
	}
}

func (v *Vehicle) contentOf(channel uint8, sub bool) *Content {
	switch {
	case v.Content != nil:
		return v.Content(channel, sub)
	case sub && v.Faults.ChangeAfter > 0:
		return Small()
	}
	return Default(channel)
}

// startStream replaces the channel's stream if there is one.
func (v *Vehicle) startStream(channel uint8, address string, m jt808.LiveStart, persist bool) {
	v.stopStream(channel)
	ctx, cancel := context.WithCancel(v.ctx)
	s := &stream{
		vehicle: v, channel: channel, address: address, persist: persist,
		packetizer: jt1078.NewPacketizer(v.SIM, channel, jt1078.PacketizerOptions{LongSIM: v.Version == jt808.Version2019}),
	}
	s.setContent(v.contentOf(channel, m.Stream == jt808.StreamSub && v.Faults.ChangeAfter == 0))
	s.noSound.Store(v.NoSound || m.Media == jt808.MediaVideo)
	s.noVideo.Store(m.Media == jt808.MediaListen)
	p := &playing{stream: s, cancel: cancel, done: make(chan struct{})}

	v.mutex.Lock()
	v.streams[channel] = p
	v.mutex.Unlock()
	v.wg.Go(func() {
		defer close(p.done)
		s.run(ctx)
		cancel()
		v.mutex.Lock()
		delete(v.streams, channel)
		v.mutex.Unlock()
		v.notify(EventStreamEnded, channel, "")
	})
}

// stopStream returns when the channel's stream has ended.
func (v *Vehicle) stopStream(channel uint8) {
	if p := v.playing(channel); p != nil {
		p.cancel()
		<-p.done
	}
}

func (v *Vehicle) playing(channel uint8) *playing {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return v.streams[channel]
}
