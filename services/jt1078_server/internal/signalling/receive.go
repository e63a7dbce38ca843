package signalling

import (
	"bytes"
	"context"
	"time"

	"multi_process_server/pkg/jt808"
)

// Why a message was not accepted: a metric's label.
const (
	badBody            = "malformed_body"
	badUnknown         = "unknown_message"
	badEncrypted       = "encrypted"
	badUnauthenticated = "not_authenticated"
	badForeignSIM      = "foreign_sim"
	badSubpackages     = "subpackages"
	badUnexpectedReply = "unexpected_reply"
)

// maxHeld bounds the incomplete messages of all connections together, in bytes. One connection may hold 64 KiB.
const maxHeld = 64 << 20

var reassemblerOptions = jt808.ReassemblerOptions{MaxPackages: 64, MaxBytes: 64 << 10}

// receive deals with one message. The identity of a vehicle is the SIM in its header.
func (c *connection) receive(m *jt808.Message) {
	now := time.Now()
	h := m.Header // of this package: what is answered
	known := c.gateway.metrics.known(h.ID)
	sim, authenticated := c.identity()
	entering := h.ID == jt808.IDRegister || h.ID == jt808.IDAuthenticate
	switch {
	case h.Encryption != 0:
		c.refuse(h, jt808.ResultUnsupported, badEncrypted, nil)
	case !authenticated && !entering:
		c.refuse(h, jt808.ResultFailed, badUnauthenticated, nil)
	case authenticated && h.SIM != sim:
		c.refuse(h, jt808.ResultFailed, badForeignSIM, nil)
	case !known:
		c.refuse(h, jt808.ResultUnsupported, badUnknown, nil)
	default:
		complete, err := c.join(m, now)
		switch {
		case err != nil:
			c.refuse(h, jt808.ResultBadMessage, badSubpackages, err)
		case !complete:
			c.answer(h, jt808.ResultOK)
		default:
			c.mutex.Lock()
			c.seenAt = now
			c.mutex.Unlock()
			c.handle(h, m.Body, now)
		}
	}
}

// handle deals with a whole message that may be answered as h.
func (c *connection) handle(h jt808.Header, body []byte, now time.Time) {
	switch h.ID {
	case jt808.IDRegister:
		c.register(h, body)
	case jt808.IDAuthenticate:
		c.authenticate(h, body, now)
	case jt808.IDTerminalReply:
		c.commandReply(h, body)
	case jt808.IDHeartbeat:
		c.answer(h, jt808.ResultOK)
	case jt808.IDLogoff:
		c.answer(h, jt808.ResultOK)
		sim, _ := c.leave()
		c.authDeadline = now.Add(c.gateway.Config.AuthTimeout)
		c.log(c.gateway.Log.Info(), sim).Msg("vehicle logged off")
	case jt808.IDLocation:
		var l jt808.Location
		if err := l.Unmarshal(body, h.Version); err != nil {
			c.refuse(h, jt808.ResultBadMessage, badBody, err)
			return
		}
		c.locate(&l, now)
		c.answer(h, jt808.ResultOK)
	case jt808.IDLocationBatch:
		var batch jt808.LocationBatch
		if err := batch.Unmarshal(body, h.Version); err != nil {
			c.refuse(h, jt808.ResultBadMessage, badBody, err)
			return
		}
		for i := range batch.Locations {
			c.locateIfNewer(&batch.Locations[i], now)
		}
		c.answer(h, jt808.ResultOK)
	}
}

// join puts sub-packages together, within the limits of the connection and of the gateway.
func (c *connection) join(m *jt808.Message, now time.Time) (complete bool, err error) {
	if c.reassembler == nil {
		if !m.Header.Split() {
			return true, nil
		}
		c.reassembler = jt808.NewReassembler(reassemblerOptions)
	}
	before := c.reassembler.Held()
	c.reassembler.Expire(now)
	complete, err = c.reassembler.Push(m, now)
	held := c.gateway.held.Add(int64(c.reassembler.Held() - before))
	c.gateway.metrics.heldBytes.Set(float64(held))
	if held > maxHeld && c.reassembler.Held() > 0 {
		c.dropReassembler()
		return false, jt808.ErrReassembly
	}
	return complete, err
}

func (c *connection) dropReassembler() {
	if c.reassembler != nil {
		c.gateway.metrics.heldBytes.Set(float64(c.gateway.held.Add(-int64(c.reassembler.Held()))))
		c.reassembler = nil
	}
}

// answer sends the general reply to a message.
func (c *connection) answer(to jt808.Header, result jt808.Result) {
	reply := jt808.PlatformReply{Serial: to.Serial, To: to.ID, Result: result}
	_ = c.write(context.Background(), c.replyHeader(to), &reply) // its error ended the connection
}

// refuse counts a message that was not accepted, and answers it where it is none itself.
func (c *connection) refuse(to jt808.Header, result jt808.Result, reason string, err error) {
	c.gateway.metrics.badMessages.WithLabelValues(reason).Inc()
	c.log(c.gateway.Log.Debug(), to.SIM).Err(err).Stringer("message", to.ID).Str("reason", reason).Msg("message not accepted")
	if to.ID != jt808.IDTerminalReply {
		c.answer(to, result)
	}
}

// replyHeader speaks to the vehicle in the edition that it speaks.
func (c *connection) replyHeader(to jt808.Header) jt808.Header {
	return jt808.Header{Version: to.Version, ProtocolVersion: to.ProtocolVersion, SIM: to.SIM, Serial: c.nextSerial()}
}

// locate keeps a location. Its items alias the read buffer and are not kept.
func (c *connection) locate(l *jt808.Location, now time.Time) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.location, c.locatedAt = *l, now
	c.location.Items = nil
}

// locateIfNewer is for what a vehicle has collected: it comes in any order and may be older than what is known.
func (c *connection) locateIfNewer(l *jt808.Location, now time.Time) {
	c.mutex.Lock()
	newer := bytes.Compare(l.Time[:], c.location.Time[:]) > 0 // BCD sorts as time does
	c.mutex.Unlock()
	if newer {
		c.locate(l, now)
	}
}
