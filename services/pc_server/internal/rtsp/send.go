package rtsp

import (
	"context"
	"errors"
	"time"

	"github.com/bluenviron/gortsplib/v4/pkg/liberrors"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// run is the viewer's goroutine: from the queue into RTP.
func (v *viewer) run(ctx context.Context) {
	defer close(v.done)
	// The reports go first, so that the player has sound and picture on one clock from the first packet on. They speak
	// of the same instant.
	now, begin := time.Now(), videoClock.duration(v.burst.start())
	for t, out := range v.out {
		if out != nil {
			v.report(track(t), out.clock.ticks(begin), now)
		}
	}
	for sent := 0; ; {
		u := v.next(ctx)
		if u == nil {
			return
		}
		timestamp := v.stamp(u)
		if now := time.Now(); now.Sub(v.out[u.track].reported) >= reportPeriod {
			v.report(u.track, timestamp, now)
		}
		for i, payload := range u.payloads {
			last := i == len(u.payloads)-1
			if !v.write(ctx, u.track, timestamp, payload, last && u.marked) {
				return
			}
			if sent++; v.udp && sent%udpBurst == 0 {
				sleep(ctx, udpPause)
			}
		}
	}
}

// stamp is the unit's time for this viewer, in the track's ticks.
func (v *viewer) stamp(u *unit) int64 {
	if u.track == trackVideo {
		return v.burst.stamp(u.timestamp)
	}
	return u.timestamp
}

// write hands a packet to gortsplib and waits where its queue is full. It reports false when the viewer has ended.
func (v *viewer) write(ctx context.Context, t track, timestamp int64, payload []byte, marker bool) bool {
	out := v.out[t]
	packet := rtp.Packet{
		Header: rtp.Header{
			Version: 2, PayloadType: out.payloadType, Marker: marker,
			SequenceNumber: out.sequence, Timestamp: out.offset + uint32(timestamp), SSRC: out.ssrc,
		},
		Payload: payload,
	}
	for {
		err := v.session.WritePacketRTP(out.media, &packet)
		if err == nil {
			break
		}
		if !errors.As(err, &liberrors.ErrServerWriteQueueFull{}) {
			v.log.Warn().Err(err).Msg("cannot send to the viewer")
			v.session.Close()
			return false
		}
		if !sleep(ctx, writeRetry) {
			return false
		}
	}
	out.sequence++
	out.packets++
	out.bytes += uint32(len(payload))
	out.last = max(out.last, timestamp)
	v.sent.Inc()
	return ctx.Err() == nil
}

// report sends an RTCP sender report: which wall-clock time belongs to a timestamp of the track.
func (v *viewer) report(t track, timestamp int64, now time.Time) {
	out := v.out[t]
	out.reported = now
	// When the write queue is full the report is left out; another one follows.
	v.session.WritePacketRTCP(out.media, &rtcp.SenderReport{ //nolint:errcheck // left out when the queue is full
		SSRC:        out.ssrc,
		NTPTime:     ntpTime(v.origin.Add(out.clock.duration(timestamp))),
		RTPTime:     out.offset + uint32(timestamp),
		PacketCount: out.packets,
		OctetCount:  out.bytes,
	})
}

// ntpTime is RFC 3550's 64-bit timestamp: seconds since 1900 and, below the point, their fraction.
func ntpTime(t time.Time) uint64 {
	const from1900to1970 = 2208988800
	seconds := uint64(t.Unix() + from1900to1970)
	return seconds<<32 | uint64(t.Nanosecond())<<32/uint64(time.Second)
}

// sleep reports whether it slept to the end.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
