package simvehicle

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"multi_process_server/pkg/jt808"
)

// signal keeps a session with the gateway.
func (v *Vehicle) signal() {
	for {
		err := v.session()
		v.mutex.Lock()
		v.online = false
		v.mutex.Unlock()
		if v.ctx.Err() != nil {
			return
		}
		v.notify(EventOffline, 0, err.Error())
		if !sleep(v.ctx, v.Retry) {
			return
		}
	}
}

// sleep reports whether the time went by before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// session is one connection to the gateway. The reader is the caller's goroutine, the reports are the other one's.
type session struct {
	vehicle *Vehicle
	conn    net.Conn
	mutex   sync.Mutex // guards serial and the order of writes
	serial  uint16
	beating bool
	wg      sync.WaitGroup
}

func (v *Vehicle) session() error {
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(v.ctx, "tcp", v.Gateway)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(v.ctx)
	s := &session{vehicle: v, conn: conn}
	defer s.wg.Wait()
	defer cancel()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()

	if err := s.introduce(); err != nil {
		return err
	}
	reader := jt808.NewReader(conn)
	var m jt808.Message
	for {
		err := reader.Read(&m)
		var bad jt808.FrameError
		if errors.As(err, &bad) {
			continue
		}
		if err != nil {
			return fmt.Errorf("the gateway's connection ended: %w", err)
		}
		if err := s.handle(ctx, &m); err != nil {
			return err
		}
	}
}

// introduce authenticates where the vehicle still knows its code, and registers otherwise.
func (s *session) introduce() error {
	v := s.vehicle
	v.mutex.Lock()
	code := v.code
	v.mutex.Unlock()
	if code != "" {
		return s.send(&jt808.Authenticate{Code: code, IMEI: "860000000000000", Software: "simulated"})
	}
	sim := v.SIM.String()
	return s.send(&jt808.Register{
		Province: 44, City: 300, Maker: "SIM", Model: "SIMULATED", TerminalID: sim[len(sim)-7:], PlateColour: 2,
		Plate: "SIM" + sim[len(sim)-5:],
	})
}

func (s *session) send(body jt808.Body) error {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	frame, err := jt808.Append(nil, jt808.Header{
		Version: s.vehicle.Version, ProtocolVersion: 1, SIM: s.vehicle.SIM, Serial: s.serial,
	}, body)
	if err != nil {
		return err
	}
	s.serial++
	if err := s.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return err
	}
	_, err = s.conn.Write(frame)
	return err
}

// handle answers a message from the platform.
func (s *session) handle(ctx context.Context, m *jt808.Message) error {
	v := s.vehicle
	switch m.Header.ID {
	case jt808.IDRegisterReply:
		var r jt808.RegisterReply
		if err := r.Unmarshal(m.Body, m.Header.Version); err != nil {
			return err
		}
		if r.Result != jt808.RegisterOK {
			return fmt.Errorf("the gateway refused the registration: result %d", r.Result)
		}
		v.mutex.Lock()
		v.code = r.AuthCode
		v.mutex.Unlock()
		return s.introduce()
	case jt808.IDPlatformReply:
		var r jt808.PlatformReply
		if err := r.Unmarshal(m.Body, m.Header.Version); err != nil {
			return err
		}
		if r.To == jt808.IDAuthenticate {
			return s.authenticated(ctx, r.Result)
		}
	case jt808.IDLiveStart:
		var start jt808.LiveStart
		if start.Unmarshal(m.Body, m.Header.Version) != nil {
			return s.reply(m, jt808.ResultBadMessage)
		}
		return s.liveStart(m, start)
	case jt808.IDLiveControl:
		var control jt808.LiveControl
		if control.Unmarshal(m.Body, m.Header.Version) != nil {
			return s.reply(m, jt808.ResultBadMessage)
		}
		return s.liveControl(m, control)
	default:
		return s.reply(m, jt808.ResultUnsupported)
	}
	return nil
}

func (s *session) reply(m *jt808.Message, result jt808.Result) error {
	return s.send(&jt808.TerminalReply{Serial: m.Header.Serial, To: m.Header.ID, Result: result})
}

func (s *session) authenticated(ctx context.Context, result jt808.Result) error {
	v := s.vehicle
	v.mutex.Lock()
	v.online = result == jt808.ResultOK
	if !v.online {
		v.code = "" // register anew
	}
	v.mutex.Unlock()
	if result != jt808.ResultOK {
		return fmt.Errorf("the gateway refused the authentication: %s", result)
	}
	v.notify(EventOnline, 0, "")
	if !s.beating {
		s.beating = true
		s.wg.Go(func() { s.report(ctx) })
	}
	return nil
}

// report sends heartbeats and locations until the session ends.
func (s *session) report(ctx context.Context) {
	heartbeat, location := time.NewTicker(s.vehicle.Heartbeat), time.NewTicker(s.vehicle.Location)
	defer heartbeat.Stop()
	defer location.Stop()
	for {
		var body jt808.Body
		select {
		case <-ctx.Done():
			return
		case <-heartbeat.C:
			body = &jt808.Heartbeat{}
		case now := <-location.C:
			body = s.vehicle.location(now)
		}
		if s.send(body) != nil {
			s.conn.Close() // the reader sees it and ends the session
			return
		}
	}
}

// location is somewhere on a road that every vehicle drives up and down.
func (v *Vehicle) location(now time.Time) *jt808.Location {
	const there = 10 * time.Minute
	way := now.Sub(v.born) % (2 * there)
	direction := uint16(90)
	if way > there {
		way, direction = 2*there-way, 270
	}
	lane := uint32(binary.BigEndian.Uint16(v.SIM[8:])) // vehicles are not all in one place
	return &jt808.Location{
		Status:   jt808.StatusACC | jt808.StatusPositioned,
		Latitude: 22_540_000 + lane, Longitude: 113_930_000 + uint32(way/time.Second)*120,
		Altitude: 12, Speed: 420, Direction: direction, Time: jt808.DateTimeOf(now),
	}
}

func (s *session) liveStart(m *jt808.Message, start jt808.LiveStart) error {
	v := s.vehicle
	v.notify(EventStart, start.Channel, net.JoinHostPort(start.Host, strconv.Itoa(int(start.TCPPort))))
	switch {
	case v.Faults.Refuse || start.Channel < 1 || start.Channel > v.Channels:
		return s.reply(m, jt808.ResultFailed)
	case start.TCPPort == 0, start.Media != jt808.MediaAV && start.Media != jt808.MediaVideo && start.Media != jt808.MediaListen:
		return s.reply(m, jt808.ResultUnsupported)
	}
	if err := s.reply(m, jt808.ResultOK); err != nil || v.Faults.NeverDial {
		return err
	}
	v.startStream(start.Channel, net.JoinHostPort(start.Host, strconv.Itoa(int(start.TCPPort))), start, false)
	return nil
}

func (s *session) liveControl(m *jt808.Message, control jt808.LiveControl) error {
	v := s.vehicle
	p := v.playing(control.Channel)
	switch {
	case control.Command == jt808.ControlClose && control.Close == jt808.CloseAll:
		v.notify(EventStop, control.Channel, "")
		if !v.Faults.IgnoreStop {
			v.stopStream(control.Channel)
		}
	case control.Command > jt808.ControlResume:
		return s.reply(m, jt808.ResultUnsupported)
	case p == nil:
		return s.reply(m, jt808.ResultFailed)
	case control.Command == jt808.ControlSwitch:
		p.setContent(v.contentOf(control.Channel, control.Stream == jt808.StreamSub))
	case control.Command == jt808.ControlPause, control.Command == jt808.ControlResume:
		p.paused.Store(control.Command == jt808.ControlPause)
	case control.Close == jt808.CloseAudio:
		p.noSound.Store(true)
	case control.Close == jt808.CloseVideo:
		p.noVideo.Store(true)
	}
	return s.reply(m, jt808.ResultOK)
}
