package signalling

import (
	"context"
	"time"

	"multi_process_server/pkg/jt808"
)

// register answers 0x0100. Nothing in its body decides anything, so a vehicle that fills it in badly may register, too.
func (c *connection) register(h jt808.Header, body []byte) {
	config := &c.gateway.Config
	var m jt808.Register
	bodyErr := m.Unmarshal(body, h.Version)
	if bodyErr != nil {
		c.gateway.metrics.badMessages.WithLabelValues(badBody).Inc()
	}
	reply := jt808.RegisterReply{Serial: h.Serial, Result: jt808.RegisterUnknownTerminal}
	result, event := "refused", c.gateway.Log.Warn()
	if config.OpenRegistration {
		reply.Result, reply.AuthCode = jt808.RegisterOK, AuthCode(config.AuthSecret, h.SIM)
		result, event = "ok", c.gateway.Log.Info()
	}
	c.gateway.metrics.registrations.WithLabelValues(result).Inc()
	c.log(event, h.SIM).AnErr("malformed", bodyErr).Str("plate", jt808.Text(m.Plate)).Str("maker", jt808.Text(m.Maker)).
		Str("model", jt808.Text(m.Model)).Str("terminal", jt808.Text(m.TerminalID)).Stringer("edition", h.Version).
		Str("result", result).Msg("registration")
	_ = c.write(context.Background(), c.replyHeader(h), &reply) // its error ended the connection
	c.countEntry(!config.OpenRegistration)
}

// authenticate answers 0x0102; with the right code the connection is the vehicle's from now on.
func (c *connection) authenticate(h jt808.Header, body []byte, now time.Time) {
	var m jt808.Authenticate
	if err := m.Unmarshal(body, h.Version); err != nil {
		// Some vehicles of 2019 send the code alone, as the edition before.
		_ = m.Unmarshal(body, jt808.Version2013) // takes anything
	}
	accepted, own := c.gateway.Config.checkCode(h.SIM, m.Code)
	metrics := c.gateway.metrics.authentications
	if !accepted {
		metrics.WithLabelValues("refused").Inc()
		c.log(c.gateway.Log.Warn(), h.SIM).Msg("vehicle refused: its authentication code is not the one of gateway.auth_secret")
		c.answer(h, jt808.ResultFailed)
		c.countEntry(true)
		return
	}
	if own {
		metrics.WithLabelValues("ok").Inc()
	} else {
		metrics.WithLabelValues("foreign_code").Inc()
	}

	// Commands may come as soon as the vehicle is known, and shall not overtake the reply.
	c.writing <- struct{}{}
	defer func() { <-c.writing }()
	c.mutex.Lock()
	again := c.authenticated
	c.authenticated = true
	c.header = jt808.Header{Version: h.Version, ProtocolVersion: h.ProtocolVersion, SIM: h.SIM}
	if !again {
		c.connectedAt = now
	}
	c.mutex.Unlock()
	replaced := c.gateway.adopt(c, h.SIM)
	reply := jt808.PlatformReply{Serial: h.Serial, To: h.ID}
	if c.writeNow(context.Background(), c.replyHeader(h), &reply) != nil || again {
		return
	}
	event := c.log(c.gateway.Log.Info(), h.SIM).Stringer("edition", h.Version).Bool("own_code", own)
	if replaced != nil {
		event.Stringer("replaces", replaced.socket.RemoteAddr())
	}
	event.Msg("vehicle online")
	c.countEntry(false)
}

// countEntry ends a connection that tries codes, or enters again and again: each entry is a line in the log.
func (c *connection) countEntry(refused bool) {
	c.entries++
	if refused {
		c.refusals++
	}
	if c.entries >= maxEntries || c.refusals >= maxRefusals {
		c.end(endRefused)
	}
}
