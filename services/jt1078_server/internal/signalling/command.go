package signalling

import (
	"context"
	"errors"
	"slices"
	"time"

	"multi_process_server/pkg/jt808"
)

// commands are what one vehicle was told and has not answered. The connection's mutex guards them.
type commands struct {
	waiting []*command
	// over are the serial numbers of the last commands that were answered or given up, a ring: a late or repeated reply
	// to one of them is not taken for the reply to another.
	over     [8]uint16
	overSize int
}

type command struct {
	header jt808.Header
	done   chan error // takes one
}

// fail ends all commands with err.
func (c *commands) fail(err error) {
	for _, command := range c.waiting {
		command.done <- err
	}
	c.waiting = nil
}

// remove takes a command off the list, wherever it stands.
func (c *commands) remove(command *command) {
	i := slices.Index(c.waiting, command)
	if i < 0 {
		return
	}
	c.waiting = slices.Delete(c.waiting, i, i+1)
	c.over[c.overSize%len(c.over)] = command.header.Serial
	c.overSize++
}

// match finds the command that a reply is for: the one whose serial number it cites; or, as some vehicles cite
// anything, the only one there is.
func (c *commands) match(serial uint16) *command {
	for _, command := range c.waiting {
		if command.header.Serial == serial {
			return command
		}
	}
	if len(c.waiting) == 1 && !slices.Contains(c.over[:min(c.overSize, len(c.over))], serial) {
		return c.waiting[0]
	}
	return nil
}

// command sends body and waits for the general reply, see Gateway.Command. All attempts have one serial number, so that
// the reply to any of them will do.
func (c *connection) command(ctx context.Context, body jt808.Body) error {
	command := &command{done: make(chan error, 1)}
	c.mutex.Lock()
	if !c.authenticated {
		c.mutex.Unlock()
		return ErrOffline
	}
	command.header = c.header
	command.header.ID = body.ID()
	command.header.Serial = c.nextSerial()
	c.commands.waiting = append(c.commands.waiting, command)
	c.mutex.Unlock()
	defer func() {
		c.mutex.Lock()
		c.commands.remove(command)
		c.mutex.Unlock()
	}()

	timer := time.NewTimer(c.gateway.Config.ReplyTimeout)
	defer timer.Stop()
	for attempt := range c.gateway.Config.CommandAttempts {
		if attempt > 0 {
			c.gateway.metrics.retries.Inc()
			timer.Reset(c.gateway.Config.ReplyTimeout)
		}
		err := c.write(ctx, command.header, body)
		switch {
		case errors.Is(err, ErrOffline) && attempt > 0: // an attempt has gone out
			return ErrInterrupted
		case err != nil:
			return err
		}
		select {
		case err := <-command.done:
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
	}
	return ErrTimeout
}

// commandReply takes a vehicle's general reply.
func (c *connection) commandReply(h jt808.Header, body []byte) {
	var reply jt808.TerminalReply
	if err := reply.Unmarshal(body, h.Version); err != nil {
		c.refuse(h, jt808.ResultBadMessage, badBody, err)
		return
	}
	c.mutex.Lock()
	command := c.commands.match(reply.Serial)
	if command != nil {
		c.commands.remove(command)
	}
	c.mutex.Unlock()
	switch {
	case command == nil:
		c.refuse(h, jt808.ResultFailed, badUnexpectedReply, nil)
	case reply.Result == jt808.ResultOK:
		command.done <- nil
	default:
		command.done <- &RejectedError{Command: command.header.ID, Result: reply.Result}
	}
}
