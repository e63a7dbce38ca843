package signalling

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
	"multi_process_server/services/jt1078_server/internal/hub"
)

var _ hub.Commander = (*Commander)(nil)

// Commander takes each command down the road that Mode says. It is safe for concurrent use.
type Commander struct {
	Mode    Mode     // not ModeOff: then there is nobody to command
	Gateway *Gateway // nil: there is none, and Mode is not ModeBuiltin
	Queue   *Queue   // nil: no Redis, and Mode is not ModeRedis
	// Live is where vehicles shall dial with live media. Without a host, a vehicle on the gateway is told the address
	// that it reached the gateway by. ModeRedis needs one.
	Live    Endpoint
	Log     zerolog.Logger
	Metrics prometheus.Registerer

	metrics *commanderMetrics
}

// Initialize makes it ready for use.
func (c *Commander) Initialize() { c.metrics = newCommanderMetrics(c.Metrics) }

// Ready is nil when commands have a road. Where the gateway is one, a Redis that is down is no reason not to be ready.
func (c *Commander) Ready() error {
	onlyRedis := c.Mode == ModeRedis || c.Gateway == nil
	if onlyRedis && c.Queue != nil {
		return c.Queue.Ready()
	}
	return nil
}

// Roads: a metric's label.
const (
	roadBuiltin = "builtin"
	roadRedis   = "redis"
	roadNone    = "none"
)

// road chooses for one vehicle.
func (c *Commander) road(sim jt1078.SIM) (string, error) {
	switch c.Mode {
	case ModeBuiltin:
		return roadBuiltin, nil
	case ModeRedis:
		return roadRedis, nil
	}
	switch {
	case c.Gateway != nil && c.Gateway.Online(sim):
		return roadBuiltin, nil
	case c.Queue != nil && c.Live.Host == "":
		return roadNone, fmt.Errorf("%w, and public_host is empty, so an outside JT/T 808 server cannot be told where the vehicle shall dial", ErrOffline)
	case c.Queue != nil:
		return roadRedis, nil
	case c.Gateway == nil:
		return roadNone, fmt.Errorf("%w: there is neither a gateway (gateway.address) nor a Redis (redis.addr) to command it by", hub.ErrUnreachable)
	}
	return roadNone, fmt.Errorf("%w on %s; connect it there, or set redis.addr where another JT/T 808 server has it", ErrOffline, c.Gateway.Config.Address)
}

// StartLive implements hub.Commander.
func (c *Commander) StartLive(ctx context.Context, id jt1078.StreamID, stream hub.Substream) (acknowledged bool, err error) {
	road, err := c.do("live_start", id, func(road string) error {
		if road == roadRedis {
			return c.elsewhere(id, c.Queue.StartLive(ctx, id, jt808.StreamType(stream), c.Live))
		}
		dial := c.Live
		if dial.Host == "" {
			host, ok := c.Gateway.LocalHost(id.SIM)
			if !ok {
				return ErrOffline
			}
			dial.Host = host
		}
		return c.Gateway.Command(ctx, id.SIM, &jt808.LiveStart{
			Host: dial.Host, TCPPort: dial.Port, Channel: id.Channel, Media: jt808.MediaAV, Stream: jt808.StreamType(stream),
		})
	})
	return err == nil && road == roadBuiltin, err
}

// elsewhere makes it known that a start took the queue because the vehicle is not on the gateway: where nobody else has
// it, this is why no picture comes.
func (c *Commander) elsewhere(id jt1078.StreamID, err error) error {
	switch {
	case c.Mode == ModeRedis || c.Gateway == nil:
		return err
	case err != nil:
		return fmt.Errorf("the vehicle is not connected to the gateway on %s: %w", c.Gateway.Config.Address, err)
	}
	c.Log.Info().Stringer("stream", id).Str("list", QueueKey).
		Msg("the vehicle is not connected to the gateway; its start is left to the JT/T 808 server that takes commands from Redis")
	return nil
}

// StopLive implements hub.Commander.
func (c *Commander) StopLive(ctx context.Context, id jt1078.StreamID, stream hub.Substream) error {
	_, err := c.do("live_stop", id, func(road string) error {
		if road == roadRedis {
			return c.Queue.StopLive(ctx, id, jt808.StreamType(stream), c.Live)
		}
		return c.Gateway.Command(ctx, id.SIM, &jt808.LiveControl{
			Channel: id.Channel, Command: jt808.ControlClose, Close: jt808.CloseAll, Stream: jt808.StreamType(stream),
		})
	})
	return err
}

// do runs one command down its road, measures it and tells of it.
func (c *Commander) do(name string, id jt1078.StreamID, run func(road string) error) (road string, err error) {
	started := time.Now()
	road, err = c.road(id.SIM)
	if err == nil {
		err = run(road)
		c.metrics.seconds.WithLabelValues(road).Observe(time.Since(started).Seconds())
	}
	result := resultOf(err)
	c.metrics.commands.WithLabelValues(road, name, result).Inc()
	c.Log.Debug().Err(err).Stringer("sim", id.SIM).Uint8("channel", id.Channel).Str("command", name).Str("road", road).
		Dur("took", time.Since(started)).Msg("command " + result)
	return road, err
}

// resultOf is a metric's label.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, ErrQueueFull):
		return "queue_full"
	case errors.Is(err, ErrQueueDown):
		return "queue_down"
	case errors.Is(err, hub.ErrUnreachable):
		return "offline"
	case errors.Is(err, hub.ErrRefused):
		return "refused"
	case errors.Is(err, context.DeadlineExceeded):
		return "no_reply"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	}
	return "error"
}
