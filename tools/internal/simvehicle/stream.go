package simvehicle

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync/atomic"
	"time"

	"multi_process_server/pkg/jt1078"
)

const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 10 * time.Second
	// maxLag is how late a frame may be; a connection that takes nothing for longer loses frames up to the next key
	// frame, as a vehicle's small buffer does.
	maxLag = time.Second
	// redialPause is between the attempts of a stream that nobody asked for.
	redialPause = time.Second
)

// Totals are what all streams of a process have sent.
var Totals struct {
	Streams atomic.Int64 // connected now
	Frames  atomic.Int64 // pictures and sound packets
	Bytes   atomic.Int64
	Late    atomic.Int64 // frames that were not sent because the connection took nothing
}

// stream sends one channel. The atomic fields may change while it plays.
type stream struct {
	vehicle *Vehicle
	channel uint8
	address string
	persist bool // dial again after the connection was lost

	content atomic.Pointer[Content]
	noVideo atomic.Bool
	noSound atomic.Bool
	paused  atomic.Bool

	packetizer *jt1078.Packetizer
	buffer     []byte
}

// run dials and plays until ctx is done, or until the connection ends.
func (s *stream) run(ctx context.Context) {
	if after := s.vehicle.Faults.ChangeAfter; after > 0 {
		change := time.AfterFunc(after, func() { s.setContent(s.vehicle.contentOf(s.channel, true)) })
		defer change.Stop()
	}
	for {
		err := s.connect(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil: // the fault: dial again at once
			continue
		}
		s.vehicle.notify(EventMediaLost, s.channel, err.Error())
		if !s.persist || !sleep(ctx, redialPause) {
			return
		}
	}
}

func (s *stream) connect(ctx context.Context) error {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	Totals.Streams.Add(1)
	defer Totals.Streams.Add(-1)
	s.vehicle.notify(EventSending, s.channel, s.address)
	return s.play(ctx, conn)
}

func (s *stream) setContent(c *Content) {
	if s.vehicle.Faults.BadSPS {
		c = c.withBadSPS()
	}
	s.content.Store(c)
}

// play sends frames at their times. Timestamps are the vehicle's uptime, so that they go on across connections; the
// picture starts with the key frame that lies before the vehicle's place in the loop, the sound with it. It returns nil
// only where the fault asks for a new connection.
func (s *stream) play(ctx context.Context, conn net.Conn) error {
	var (
		began      = time.Now()
		uptime     = began.Sub(s.vehicle.born)
		content    *Content
		unit       int // the next picture
		sound      int // the next packet of sound
		unitDue    time.Duration
		soundDue   time.Duration
		needKey    bool
		faults     = &s.vehicle.Faults
		wait       = time.NewTimer(0)
		packetTime = func(due time.Duration) uint64 { return uint64((uptime + due) / time.Millisecond) }
	)
	defer wait.Stop()
	for {
		if now := s.content.Load(); now != content { // at the start, and where the stream was switched
			content = now
			at := uptime + unitDue
			unit = content.keyBefore(at)
			sound = content.soundAt(at, unit)
			soundDue = unitDue
		}
		due := unitDue
		if len(content.sounds) > 0 {
			due = min(due, soundDue)
		}
		if ahead := due - time.Since(began); ahead > 0 {
			wait.Reset(ahead)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-wait.C:
			}
		}
		if faults.RedialAfter > 0 && due >= faults.RedialAfter {
			return nil
		}
		late := time.Since(began)-due > maxLag
		if late {
			needKey = true
		}

		var frame jt1078.Frame
		send := !s.paused.Load() && !late
		if due == unitDue {
			u := content.units[unit]
			unit = (unit + 1) % len(content.units)
			unitDue += content.frameInterval
			if needKey && u.key && !late {
				needKey = false
			}
			send = send && !s.noVideo.Load() && !needKey && (!u.key || !faults.NeverKey)
			frame = jt1078.Frame{DataType: jt1078.DataP, PayloadType: content.videoType, Data: u.data}
			if u.key {
				frame.DataType = jt1078.DataI
			}
		} else {
			frame = jt1078.Frame{DataType: jt1078.DataAudio, PayloadType: content.soundType, Data: content.sounds[sound]}
			sound = (sound + 1) % len(content.sounds)
			soundDue += content.soundInterval
			send = send && !s.noSound.Load()
		}
		if late {
			Totals.Late.Add(1)
		}
		if !send {
			continue
		}
		frame.Timestamp = packetTime(due)
		if err := s.write(conn, frame); err != nil {
			return err
		}
	}
}

// write sends a frame's packets at once: one system call.
func (s *stream) write(conn net.Conn, frame jt1078.Frame) error {
	s.buffer = s.buffer[:0]
	if s.vehicle.Faults.Garbage {
		s.buffer = appendGarbage(s.buffer)
	}
	s.buffer = s.packetizer.AppendFrame(s.buffer, frame)
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	n, err := conn.Write(s.buffer)
	Totals.Bytes.Add(int64(n))
	if err != nil {
		return fmt.Errorf("sending to %s: %w", s.address, err)
	}
	Totals.Frames.Add(1)
	return nil
}

// appendGarbage adds noise that now and then starts like a packet.
func appendGarbage(dst []byte) []byte {
	for range rand.IntN(200) {
		dst = append(dst, byte(rand.Uint32()))
	}
	if rand.IntN(4) == 0 {
		dst = append(dst, 0x30, 0x31, 0x63)
	}
	return dst
}

// keyBefore is the key frame that is on, or was last on, at a time of the endless loop.
func (c *Content) keyBefore(at time.Duration) int {
	i := int(at/c.frameInterval) % len(c.units)
	for !c.units[i].key { // the first one is
		i--
	}
	return i
}

// soundAt is the packet of sound that goes with a picture that was chosen for a time.
func (c *Content) soundAt(at time.Duration, unit int) int {
	if len(c.sounds) == 0 {
		return 0
	}
	frame := int(at / c.frameInterval) // of the endless loop; the chosen picture lies in the same round
	frame += unit - frame%len(c.units)
	return int(time.Duration(frame)*c.frameInterval/c.soundInterval) % len(c.sounds)
}
