package hub

import (
	"context"
	"errors"
	"time"

	relayv1 "multi_process_server/proto/relay/v1"
)

// demand is a stream's side towards those who want it. From its first subscriber until some time after its last a
// supervisor runs, a goroutine that starts the vehicle, starts it again when its connection is lost, and stops it. It
// alone calls the commander, so a stream's commands never overtake each other.
type demand struct {
	supervised bool
	// best is the furthest stage since the attempt began, whether or not the publisher is there any more.
	best relayv1.Stage
	// commanded: the vehicle was told to send and not to stop since. Only such a stream is stopped; one that comes
	// without our asking is somebody else's. It is the supervisor's own, as is nothing else here.
	commanded bool
	// unwatched is when the last subscriber left, stopped when the vehicle was told to stop; zero if not since.
	unwatched, stopped time.Time
	// failure is the last failed start, which stands until holdUntil.
	failure   *StartError
	holdUntil time.Time
}

const (
	// attempts of a start, in all.
	attempts = 2
	// reachAgain is how often a vehicle that is not connected is tried again.
	reachAgain = time.Second
	// goodbye is how long the hub's Close waits for vehicles to be told to stop.
	goodbye = time.Second
	// A vehicle that drops its connection is told to send again after firstPause, in which it may have dialled by
	// itself; one that does so again and again after minBackoff, doubled up to maxBackoff, until it has played for
	// steadyAfter.
	firstPause  = 250 * time.Millisecond
	minBackoff  = time.Second
	maxBackoff  = 8 * time.Second
	steadyAfter = 30 * time.Second
)

// How waiting ends, beside ErrStopping.
var (
	errTimeUp    = errors.New("the time is up")
	errAbandoned = errors.New("nobody watches any more")
)

// demanded is called, with the lock held, when a subscriber has come.
func (s *stream) demanded() {
	s.unwatched, s.stopped = time.Time{}, time.Time{}
	if !s.supervised {
		s.supervised = true
		s.hub.running.Go(s.supervise)
	}
	s.poke()
}

// unwanted is called with the lock held.
func (s *stream) unwanted(now time.Time) bool {
	return !s.stopped.IsZero() && now.Sub(s.stopped) < s.hub.Config.UnwantedTimeout
}

// supervise is the supervisor.
func (s *stream) supervise() {
	backoff := firstPause
	for {
		began := time.Now()
		err := s.start(began)
		if err == nil {
			err = s.await(0, true, func() bool { return s.stage != relayv1.Stage_STAGE_PLAYING })
		}
		if err == nil { // the vehicle's connection was lost
			if time.Since(began) > steadyAfter {
				backoff = firstPause
			}
			err = s.await(backoff, true, func() bool { return s.publisher != nil })
			backoff = min(max(2*backoff, minBackoff), maxBackoff)
			if err == nil || errors.Is(err, errTimeUp) {
				continue
			}
		}
		if s.retire(err) {
			return
		}
	}
}

// retire ends what start or the stream's life has ended with err. It reports whether the supervisor may go, too.
func (s *stream) retire(err error) bool {
	var failure *StartError
	if errors.As(err, &failure) && !s.fail(failure) {
		return false
	}
	s.stopVehicle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.subscribers) > 0 && s.hub.ctx.Err() == nil { // they came while the vehicle was being stopped
		return false
	}
	s.supervised = false
	return true
}

// fail ends the subscriptions, unless the stream has come after all.
func (s *stream) fail(failure *StartError) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stage == relayv1.Stage_STAGE_PLAYING {
		return false
	}
	s.failure = failure
	s.holdUntil = time.Now().Add(failure.RetryAfter)
	s.hub.metrics.starts.WithLabelValues(stageName(failure.Stage)).Inc()
	s.log.Warn().Err(failure).Int("subscribers", len(s.subscribers)).Dur("retry_after", failure.RetryAfter).Msg("start failed")
	s.endSubscribers(failure)
	if s.publisher == nil {
		s.stage = relayv1.Stage_STAGE_UNSPECIFIED
	}
	return true
}

// start brings the stream to PLAYING. Its errors are *StartError, errAbandoned and ErrStopping.
func (s *stream) start(began time.Time) error {
	if playing, err := s.plays(); playing || err != nil {
		return err
	}
	for attempt := 1; ; attempt++ {
		err := s.attempt()
		var failure *StartError
		if !errors.As(err, &failure) {
			switch {
			case err == nil:
				s.hub.metrics.starts.WithLabelValues("playing").Inc()
				s.hub.metrics.startSeconds.Observe(time.Since(began).Seconds())
			case errors.Is(err, errAbandoned):
				s.hub.metrics.starts.WithLabelValues("abandoned").Inc()
			}
			return err
		}
		if attempt == attempts || failure.Stage == relayv1.Stage_STAGE_COMMAND_SENT || !s.hub.commands(s.key) {
			return err
		}
		if !s.watched() {
			s.hub.metrics.starts.WithLabelValues("abandoned").Inc()
			return errAbandoned
		}
		s.log.Info().Err(failure).Msg("start is tried once more")
		s.stopVehicle()
	}
}

// plays reports whether the stream plays without our doing. A connection that has been silent for long by now is half
// open, most likely. It is ended where the vehicle can be told to dial anew, so that the new connection, the one that we
// ask for, does not find its place taken.
func (s *stream) plays() (bool, error) {
	s.mu.Lock()
	publisher := s.publisher
	playing := s.stage == relayv1.Stage_STAGE_PLAYING
	var last time.Time
	if playing {
		last = publisher.lastFrame
	}
	s.mu.Unlock()
	if !playing || !s.hub.commands(s.key) {
		return playing, nil
	}
	limit := max(time.Until(last.Add(s.hub.Config.Start.FirstPacket)), 1)
	err := s.await(limit, true, func() bool { return s.publisher != publisher || publisher.lastFrame.After(last) })
	if errors.Is(err, errTimeUp) {
		publisher.end(ErrSilent)
		return false, nil
	}
	return err == nil, err
}

func (s *stream) watched() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.subscribers) > 0
}

// attempt is one try of a start.
func (s *stream) attempt() error {
	cfg := &s.hub.Config.Start
	s.mu.Lock()
	connected := s.publisher != nil
	s.best = relayv1.Stage_STAGE_UNSPECIFIED
	if connected {
		s.best = s.stage
	}
	s.mu.Unlock()
	if !connected {
		if err := s.connect(); err != nil {
			return err
		}
	}
	if err := s.reach(relayv1.Stage_STAGE_FIRST_PACKET, cfg.FirstPacket); err != nil {
		return err
	}
	return s.reach(relayv1.Stage_STAGE_PLAYING, cfg.KeyFrame)
}

// reach waits for the publisher to come to a stage.
func (s *stream) reach(stage relayv1.Stage, limit time.Duration) error {
	var reached bool
	err := s.await(limit, true, func() bool {
		reached = s.best >= stage
		return reached || s.publisher == nil
	})
	if errors.Is(err, errTimeUp) || err == nil && !reached {
		return s.startError(stage, nil)
	}
	return err
}

// connect has the vehicle told, where there is somebody to tell it, and waits until it dials.
func (s *stream) connect() error {
	limit, missing := s.hub.Config.Start.ConnectUncommanded, relayv1.Stage_STAGE_CONNECTED
	var cause error
	if s.hub.commands(s.key) {
		limit = s.hub.Config.Start.Connect
		err := s.command()
		switch {
		case errors.Is(err, context.DeadlineExceeded): // some vehicles do not reply and dial nevertheless
			missing, cause = relayv1.Stage_STAGE_ACKNOWLEDGED, errNoReply
		case err != nil:
			return err
		}
	}
	err := s.await(limit, true, s.dialled)
	if errors.Is(err, errTimeUp) {
		return s.startError(missing, cause)
	}
	return err
}

var errNoReply = errors.New("no reply came")

// dialled reports whether the vehicle has dialled since the attempt began. It is called with the lock held.
func (s *stream) dialled() bool { return s.best >= relayv1.Stage_STAGE_CONNECTED }

// command tells the vehicle to send, unless it has just dialled. A vehicle that cannot be reached is tried again for a
// while: it may be about to connect. Whatever comes of the command, a vehicle that has dialled has what it needs. The
// errors are *StartError, context.DeadlineExceeded for a vehicle that may have been told and did not reply, errAbandoned
// and ErrStopping.
func (s *stream) command() error {
	cfg := &s.hub.Config
	s.mu.Lock()
	s.stopped = time.Time{}
	dialled := s.dialled()
	if !dialled {
		s.setStage(relayv1.Stage_STAGE_COMMAND_SENT, "")
	}
	s.mu.Unlock()
	if dialled {
		return nil
	}
	for until := time.Now().Add(cfg.Start.Command); s.hub.ctx.Err() == nil; {
		ctx, cancel := context.WithTimeout(s.hub.ctx, cfg.Start.Acknowledge)
		acknowledged, err := s.hub.Commander.StartLive(ctx, s.key.ID, cfg.Substream)
		cancel()
		late := errors.Is(err, context.DeadlineExceeded)
		if late || !errors.Is(err, ErrUnreachable) {
			s.commanded = true // something has reached it, or may have
		}
		s.mu.Lock()
		dialled := s.dialled()
		if acknowledged {
			s.advance(relayv1.Stage_STAGE_ACKNOWLEDGED)
		}
		s.mu.Unlock()
		switch {
		case s.hub.ctx.Err() != nil:
			return ErrStopping
		case err == nil:
			return nil
		case dialled:
			s.log.Info().Err(err).Msg("the vehicle has dialled, whatever it says to the command")
			return nil
		case errors.Is(err, ErrRefused):
			return s.startError(relayv1.Stage_STAGE_ACKNOWLEDGED, err)
		case late:
			return context.DeadlineExceeded
		case time.Now().After(until):
			return s.startError(relayv1.Stage_STAGE_COMMAND_SENT, err)
		}
		s.log.Debug().Err(err).Msg("the vehicle is tried again")
		if err := s.await(reachAgain, true, s.dialled); !errors.Is(err, errTimeUp) {
			return err // it has dialled, or there is no need any more
		}
	}
	return ErrStopping
}

// stopVehicle ends what we have asked for: it tells the vehicle, gives it some time to close its connection, and closes
// it otherwise. It does nothing to a stream that nobody asked for.
func (s *stream) stopVehicle() {
	if !s.commanded {
		return
	}
	s.commanded = false
	s.mu.Lock()
	publisher := s.publisher
	s.stopped = time.Now()
	s.mu.Unlock()
	if err := s.commandStop(); err != nil {
		s.log.Warn().Err(err).Msg("the vehicle could not be told to stop; a connection that it opens while nobody watches is turned away")
	} else {
		s.log.Info().Msg("the vehicle was told to stop")
	}
	if publisher != nil {
		// Whoever waits for the stream by now needs a new connection; the old one's time is over.
		_ = s.await(s.hub.Config.StopTimeout, false, func() bool { return s.publisher != publisher || len(s.subscribers) > 0 })
		publisher.end(ErrStopped)
	}
}

// commandStop tells the vehicle to stop. One that cannot be reached is tried again for as long as for a start, until
// somebody wants the stream again.
func (s *stream) commandStop() error {
	for until := time.Now().Add(s.hub.Config.Start.Command); ; {
		limit := s.hub.Config.Start.Acknowledge
		if s.hub.ctx.Err() != nil {
			limit = goodbye
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.hub.ctx), limit)
		err := s.hub.Commander.StopLive(ctx, s.key.ID, s.hub.Config.Substream)
		cancel()
		if !errors.Is(err, ErrUnreachable) || time.Now().After(until) {
			return err
		}
		wanted := s.await(reachAgain, false, func() bool { return len(s.subscribers) > 0 })
		if !errors.Is(wanted, errTimeUp) {
			return err
		}
	}
}

// await waits until done, which is called with the lock held, reports true. Otherwise it returns errTimeUp after the
// limit (0: none), ErrStopping, or, if abandonable, errAbandoned once nobody has watched for the grace period.
func (s *stream) await(limit time.Duration, abandonable bool, done func() bool) error {
	var deadline time.Time
	if limit > 0 {
		deadline = time.Now().Add(limit)
	}
	for s.hub.ctx.Err() == nil {
		now := time.Now()
		next := deadline
		s.mu.Lock()
		if done() {
			s.mu.Unlock()
			return nil
		}
		if abandonable && len(s.subscribers) == 0 {
			grace := s.unwatched.Add(s.hub.Config.Grace)
			if !now.Before(grace) {
				s.mu.Unlock()
				return errAbandoned
			}
			if next.IsZero() || grace.Before(next) {
				next = grace
			}
		}
		s.mu.Unlock()
		if !deadline.IsZero() && !now.Before(deadline) {
			return errTimeUp
		}
		s.sleep(now, next)
	}
	return ErrStopping
}

// sleep waits for the stream to be poked, until next, unless that is zero, or until the hub stops.
func (s *stream) sleep(now, next time.Time) {
	var alarm <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(next.Sub(now))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-s.wake:
	case <-alarm:
	case <-s.hub.ctx.Done():
	}
}

func (s *stream) startError(stage relayv1.Stage, cause error) *StartError {
	return &StartError{Key: s.key, Stage: stage, RetryAfter: s.hub.Config.RetryAfter, Err: cause}
}
