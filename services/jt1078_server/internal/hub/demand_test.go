package hub

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"multi_process_server/pkg/jt1078"
	relayv1 "multi_process_server/proto/relay/v1"
)

// startable is a hub whose vehicle dials, as soon as it is told to, and goes when it is told to stop.
func startable(t *testing.T, cfg Config) (*Hub, *fakeCommander, chan *fakeVehicle) {
	t.Helper()
	var h *Hub
	vehicles := make(chan *fakeVehicle, 10)
	commander := &fakeCommander{onStart: func(int) (bool, error) {
		go func() {
			if v, err := dial(t, h, liveKey); err == nil {
				vehicles <- v
			} else if !errors.Is(err, ErrStopping) {
				t.Errorf("the vehicle dialled: %v", err)
			}
		}()
		return true, nil
	}}
	h = newHub(t, cfg, commander)
	return h, commander, vehicles
}

func TestFirstSubscriberStartsAndLastStops(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	var stages []relayv1.Stage
	for len(stages) == 0 || stages[len(stages)-1] != relayv1.Stage_STAGE_PLAYING {
		r, err := next(t, c)
		if err != nil {
			t.Fatal(err)
		}
		stages = append(stages, r.State.Stage)
	}
	if stages[0] != relayv1.Stage_STAGE_COMMAND_SENT || !slices.IsSorted(stages) || !slices.Contains(stages, relayv1.Stage_STAGE_CONNECTED) {
		t.Errorf("stages %v", stages)
	}
	second := mustSubscribe(t, h, liveKey)
	waitStage(t, second, relayv1.Stage_STAGE_PLAYING)
	c.Close()
	time.Sleep(2 * h.Config.Grace)
	v.send(deltaFrame(40))
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub"}) {
		t.Fatalf("with one subscriber left: %v", calls)
	}

	second.Close()
	// The vehicle says yes to the stop and goes on sending: its connection is closed.
	if reason := <-v.ended; !errors.Is(reason, ErrStopped) {
		t.Errorf("the vehicle was told %v", reason)
	}
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "stop"}) {
		t.Errorf("after the last subscriber: %v", calls)
	}
	if _, err := dial(t, h, liveKey); !errors.Is(err, ErrUnwanted) {
		t.Errorf("a re-dial after the stop: %v", err)
	}
}

func TestSubscriberWithinTheGracePeriodFindsTheStreamRunning(t *testing.T) {
	cfg := testConfig()
	cfg.Grace = patience
	h, commander, vehicles := startable(t, cfg)
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	c.Close()
	c = mustSubscribe(t, h, liveKey)
	if f := nextFrame(t, c); f.Sequence != 1 {
		t.Errorf("frame %d", f.Sequence)
	}
	if calls := commander.Calls(); len(calls) != 1 {
		t.Errorf("calls %v", calls)
	}
}

func TestSubscriberAfterTheStopStartsAgain(t *testing.T) {
	h, _, vehicles := startable(t, testConfig())
	for range 2 {
		c := mustSubscribe(t, h, liveKey)
		v := <-vehicles
		v.send(keyFrame(0))
		waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
		c.Close()
		<-v.ended
	}
}

// A stream that comes without our asking is kept, cached, and never stopped by us.
func TestUnaskedStreamIsKept(t *testing.T) {
	commander := &fakeCommander{}
	h := newHub(t, testConfig(), commander)
	v := mustDial(t, h, liveKey)
	defer v.hangUp()
	v.send(keyFrame(0), deltaFrame(40))
	c := mustSubscribe(t, h, liveKey)
	if state := waitStage(t, c, relayv1.Stage_STAGE_PLAYING); state.CachedFrames != 2 {
		t.Errorf("state %v", state)
	}
	c.Close()
	s := h.streams[liveKey]
	eventually(t, "the supervisor goes", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.supervised })
	v.send(deltaFrame(80))
	if n := value(t, h.metrics.starts.WithLabelValues("playing")); n != 0 {
		t.Errorf("%v starts counted", n)
	}
	if calls := commander.Calls(); len(calls) != 0 {
		t.Errorf("calls %v", calls)
	}
}

// startFails runs a start that must fail at a stage, and checks that everybody is told.
func startFails(t *testing.T, h *Hub, stage relayv1.Stage) {
	t.Helper()
	a, b := mustSubscribe(t, h, liveKey), mustSubscribe(t, h, liveKey)
	for _, c := range []*Subscriber{a, b} {
		var failure *StartError
		if err := waitError(t, c); !errors.As(err, &failure) || failure.Stage != stage || failure.RetryAfter != h.Config.RetryAfter || failure.Key != liveKey {
			t.Fatalf("got %v, want a failure at %s", err, stage)
		}
	}
	var failure *StartError
	if _, err := h.Subscribe(liveKey, "eager"); !errors.As(err, &failure) || failure.Stage != stage || failure.RetryAfter <= 0 || failure.RetryAfter > h.Config.RetryAfter {
		t.Errorf("a subscriber right after the failure: %v", err)
	}
}

func TestVehicleAcknowledgesAndNeverDials(t *testing.T) {
	commander := &fakeCommander{}
	cfg := testConfig()
	cfg.Start.Connect = 50 * time.Millisecond
	cfg.RetryAfter = time.Second
	h := newHub(t, cfg, commander)
	startFails(t, h, relayv1.Stage_STAGE_CONNECTED)
	eventually(t, "one retry, and a stop after each try", func() bool {
		return slices.Equal(commander.Calls(), []string{"start sub", "stop", "start sub", "stop"})
	})
	// It dials at last, and nobody wants it any more.
	if _, err := dial(t, h, liveKey); !errors.Is(err, ErrUnwanted) {
		t.Errorf("a late dial: %v", err)
	}
	time.Sleep(h.Config.RetryAfter)
	mustSubscribe(t, h, liveKey)
	eventually(t, "a new start after the hold-off", func() bool { return len(commander.Calls()) > 4 })
}

func TestVehicleDialsAndNeverSendsAKeyFrame(t *testing.T) {
	cfg := testConfig()
	cfg.Start.KeyFrame = 50 * time.Millisecond
	h, commander, vehicles := startable(t, cfg)
	done := make(chan int)
	go func() {
		n := 0
		for v := range vehicles {
			n++
			for i := range 3 {
				v.send(deltaFrame(uint64(40 * i)))
			}
			<-v.ended
		}
		done <- n
	}()
	startFails(t, h, relayv1.Stage_STAGE_PLAYING)
	eventually(t, "both tries are stopped", func() bool { return len(commander.Calls()) == 4 })
	h.Close()
	close(vehicles)
	if n := <-done; n != 2 {
		t.Errorf("the vehicle dialled %d times", n)
	}
}

func TestVehicleDialsAndSendsNothing(t *testing.T) {
	cfg := testConfig()
	cfg.Start.FirstPacket = 50 * time.Millisecond
	h, _, _ := startable(t, cfg)
	startFails(t, h, relayv1.Stage_STAGE_FIRST_PACKET)
}

func TestVehicleRefuses(t *testing.T) {
	commander := &fakeCommander{onStart: func(int) (bool, error) { return false, ErrRefused }}
	h := newHub(t, testConfig(), commander)
	startFails(t, h, relayv1.Stage_STAGE_ACKNOWLEDGED)
	eventually(t, "one retry", func() bool { return len(commander.Calls()) == 4 })
}

func TestVehicleRefusesOnce(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	told := commander.onStart
	commander.onStart = func(attempt int) (bool, error) {
		if attempt == 1 {
			return false, ErrRefused
		}
		return told(attempt)
	}
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
}

func TestVehicleCannotBeReached(t *testing.T) {
	commander := &fakeCommander{onStart: func(int) (bool, error) { return false, ErrUnreachable }}
	cfg := testConfig()
	cfg.Start.Command = 50 * time.Millisecond
	h := newHub(t, cfg, commander)
	startFails(t, h, relayv1.Stage_STAGE_COMMAND_SENT)
	if calls := strings.Join(commander.Calls(), ","); strings.Contains(calls, "stop") {
		t.Errorf("calls %s: nothing had reached the vehicle", calls)
	}
}

// A vehicle that is about to register when the stream is wanted is tried again.
func TestVehicleIsReachedLater(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	told := commander.onStart
	commander.onStart = func(attempt int) (bool, error) {
		if attempt == 1 {
			return false, ErrUnreachable
		}
		return told(attempt)
	}
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
}

func TestVehicleNeverRepliesAndNeverDials(t *testing.T) {
	commander := &fakeCommander{onStart: func(int) (bool, error) { return false, context.DeadlineExceeded }}
	cfg := testConfig()
	cfg.Start.Acknowledge, cfg.Start.Connect = 50*time.Millisecond, 50*time.Millisecond
	h := newHub(t, cfg, commander)
	startFails(t, h, relayv1.Stage_STAGE_ACKNOWLEDGED)
}

func TestVehicleNeverRepliesButDials(t *testing.T) {
	cfg := testConfig()
	cfg.Start.Acknowledge = 50 * time.Millisecond
	h, commander, vehicles := startable(t, cfg)
	told := commander.onStart
	commander.onStart = func(attempt int) (bool, error) {
		_, _ = told(attempt)
		return false, context.DeadlineExceeded
	}
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
}

// Nobody tells vehicles: a subscriber waits for one that dials.
func TestWithoutCommander(t *testing.T) {
	h := newHub(t, testConfig(), nil)
	c := mustSubscribe(t, h, liveKey)
	v := mustDial(t, h, liveKey)
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	c.Close()
	v.send(deltaFrame(40))
	v.hangUp()
}

func TestWithoutCommanderTheWaitingEnds(t *testing.T) {
	cfg := testConfig()
	cfg.Start.ConnectUncommanded = 50 * time.Millisecond
	startFails(t, newHub(t, cfg, nil), relayv1.Stage_STAGE_CONNECTED)
}

// Playback is not commanded from here: it waits for the vehicle too.
func TestReplayWaitsForTheVehicle(t *testing.T) {
	commander := &fakeCommander{}
	h := newHub(t, testConfig(), commander)
	replay := jt1078.Key{Kind: jt1078.KindReplay, ID: liveKey.ID}
	c := mustSubscribe(t, h, replay)
	live := mustDial(t, h, liveKey)
	defer live.hangUp()
	live.send(keyFrame(0))
	v := mustDial(t, h, replay)
	defer v.hangUp()
	v.send(keyFrame(7000))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if f := nextFrame(t, c); f.VehicleTimestamp != 7000 {
		t.Errorf("frame at %d: the live picture's?", f.VehicleTimestamp)
	}
	if calls := commander.Calls(); len(calls) != 0 {
		t.Errorf("calls %v", calls)
	}
}

func TestLostVehicleIsStartedAgain(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	c := mustSubscribe(t, h, liveKey)
	for i := range 2 {
		v := <-vehicles
		v.send(keyFrame(uint64(i)))
		waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
		v.hangUp()
		waitStage(t, c, relayv1.Stage_STAGE_INTERRUPTED)
	}
	v := <-vehicles
	v.send(keyFrame(9))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "start sub", "start sub"}) {
		t.Errorf("calls %v", calls)
	}
}

// Item 26: a half-open connection is out of the way of the one that we ask for.
func TestSilentConnectionGivesWayToTheOneThatWeAskFor(t *testing.T) {
	cfg := testConfig()
	cfg.TakeOverAfter = patience
	cfg.Start.FirstPacket = 50 * time.Millisecond
	h, commander, vehicles := startable(t, cfg)
	old := mustDial(t, h, liveKey)
	old.send(keyFrame(0))
	c := mustSubscribe(t, h, liveKey)
	if reason := <-old.ended; !errors.Is(reason, ErrSilent) {
		t.Errorf("the old connection was told %v", reason)
	}
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_INTERRUPTED)
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if _, err := dial(t, h, liveKey); !errors.Is(err, ErrDuplicate) {
		t.Errorf("a third connection: %v", err)
	}
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub"}) {
		t.Errorf("calls %v", calls)
	}
}

// A vehicle that dials by itself when its connection is lost is not told again.
func TestVehicleThatDialsAgainIsNotToldAgain(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	v.hangUp()
	v = mustDial(t, h, liveKey)
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_INTERRUPTED)
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	time.Sleep(2 * firstPause)
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub"}) {
		t.Errorf("calls %v", calls)
	}
}

// A reply that says no while the vehicle already sends, as to a repeated command, leaves the picture alone.
func TestVehicleDialsAndRefuses(t *testing.T) {
	for _, picture := range []string{"before the reply", "after it"} {
		t.Run(picture, func(t *testing.T) {
			var h *Hub
			vehicles := make(chan *fakeVehicle, 10)
			commander := &fakeCommander{onStart: func(int) (bool, error) {
				v := mustDial(t, h, liveKey)
				if picture == "before the reply" {
					v.send(keyFrame(0))
				}
				vehicles <- v
				return false, ErrRefused
			}}
			h = newHub(t, testConfig(), commander)
			c := mustSubscribe(t, h, liveKey)
			v := <-vehicles
			time.Sleep(50 * time.Millisecond) // for the hub to do wrong
			v.send(keyFrame(40), deltaFrame(80))
			waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
			for f := nextFrame(t, c); f.VehicleTimestamp != 80; f = nextFrame(t, c) {
			}
			if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub"}) {
				t.Errorf("calls %v", calls)
			}
			c.Close()
			<-v.ended
			if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "stop"}) {
				t.Errorf("in the end: calls %v", calls)
			}
		})
	}
}

// A vehicle that may have been told is stopped, and turned away when it dials after the start has failed.
func TestVehicleThatMayHaveBeenToldIsStopped(t *testing.T) {
	commander := &fakeCommander{onStart: func(int) (bool, error) {
		return false, fmt.Errorf("%w: the gateway was lost: %w", ErrUnreachable, context.DeadlineExceeded)
	}}
	cfg := testConfig()
	cfg.Start.Acknowledge, cfg.Start.Connect = 50*time.Millisecond, 50*time.Millisecond
	h := newHub(t, cfg, commander)
	startFails(t, h, relayv1.Stage_STAGE_ACKNOWLEDGED)
	eventually(t, "a stop after each try", func() bool {
		return slices.Equal(commander.Calls(), []string{"start sub", "stop", "start sub", "stop"})
	})
	if _, err := dial(t, h, liveKey); !errors.Is(err, ErrUnwanted) {
		t.Errorf("a late dial: %v", err)
	}
}

// A vehicle that was told once is stopped even where telling it again has failed.
func TestLostVehicleThatCannotBeToldAgainIsStopped(t *testing.T) {
	cfg := testConfig()
	cfg.Start.Command = 50 * time.Millisecond
	h, commander, vehicles := startable(t, cfg)
	told := commander.onStart
	commander.onStart = func(attempt int) (bool, error) {
		if attempt > 1 {
			return false, ErrUnreachable
		}
		return told(attempt)
	}
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	v.hangUp()
	var failure *StartError
	if err := waitError(t, c); !errors.As(err, &failure) || failure.Stage != relayv1.Stage_STAGE_COMMAND_SENT {
		t.Fatalf("got %v", err)
	}
	eventually(t, "a stop", func() bool { return slices.Contains(commander.Calls(), "stop") })
}

func TestStopIsRepeatedUntilTheVehicleIsReached(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	stops := 0
	commander.onStop = func() error {
		if stops++; stops == 1 {
			return ErrUnreachable
		}
		return nil
	}
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	c.Close()
	<-v.ended
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "stop", "stop"}) {
		t.Errorf("calls %v", calls)
	}
}

// The repeated stop gives way to a new wish, and does not outlive the hub.
func TestRepeatedStopIsAbandoned(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	stopped := make(chan struct{}, 10)
	commander.onStop = func() error { stopped <- struct{}{}; return ErrUnreachable }
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	c.Close()
	<-stopped
	c = mustSubscribe(t, h, liveKey)
	<-v.ended
	v = <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_INTERRUPTED)
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "stop", "start sub"}) {
		t.Errorf("calls %v", calls)
	}
}

// A start that fails when its last viewer has just gone is not tried once more.
func TestFailedStartIsNotRetriedForNobody(t *testing.T) {
	cfg := testConfig()
	cfg.Grace = patience
	cfg.Start.Connect = 100 * time.Millisecond
	commander := &fakeCommander{}
	h := newHub(t, cfg, commander)
	c := mustSubscribe(t, h, liveKey)
	waitStage(t, c, relayv1.Stage_STAGE_ACKNOWLEDGED)
	c.Close()
	s := h.streams[liveKey]
	eventually(t, "the supervisor goes", func() bool { s.mu.Lock(); defer s.mu.Unlock(); return !s.supervised })
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "stop"}) {
		t.Errorf("calls %v", calls)
	}
}

func TestStartIsAbandonedWhenNobodyWaits(t *testing.T) {
	commander := &fakeCommander{}
	h := newHub(t, testConfig(), commander)
	c := mustSubscribe(t, h, liveKey)
	waitStage(t, c, relayv1.Stage_STAGE_ACKNOWLEDGED)
	c.Close()
	eventually(t, "the vehicle is told to stop", func() bool {
		return slices.Equal(commander.Calls(), []string{"start sub", "stop"})
	})
}

// A stop that is under way when somebody subscribes is followed by a start.
func TestSubscriberDuringTheStop(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	stopping, goOn := make(chan struct{}), make(chan struct{})
	commander.onStop = func() error {
		select {
		case stopping <- struct{}{}:
			<-goOn
		default:
		}
		return nil
	}
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	c.Close()
	<-stopping
	c = mustSubscribe(t, h, liveKey)
	close(goOn)
	<-v.ended
	v = <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_INTERRUPTED)
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
}

func TestCloseTellsVehiclesToStop(t *testing.T) {
	h, commander, vehicles := startable(t, testConfig())
	c := mustSubscribe(t, h, liveKey)
	v := <-vehicles
	v.send(keyFrame(0))
	waitStage(t, c, relayv1.Stage_STAGE_PLAYING)
	h.Close()
	if calls := commander.Calls(); !slices.Equal(calls, []string{"start sub", "stop"}) {
		t.Errorf("calls %v", calls)
	}
	if err := waitError(t, c); !errors.Is(err, ErrStopping) {
		t.Errorf("subscriber: %v", err)
	}
}
