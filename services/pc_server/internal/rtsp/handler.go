package rtsp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"

	"multi_process_server/pkg/jt1078"
)

var (
	errPath    = errors.New("want /live/<id> or /replay/<id>")
	errTooMany = errors.New("there are rtsp.max_viewers viewers already")
	errGone    = errors.New("the client has gone")
)

// handler is what gortsplib calls. DESCRIBE runs in the connection's goroutine, everything else in the session's, so a
// request that waits for a vehicle keeps nobody but its own client waiting; see OnRequest for what that takes.
type handler Server

// session is the user data of a gortsplib session. It belongs to the session's goroutine.
type session struct {
	hold    *hold       // since SETUP
	timer   *time.Timer // ends a session that has not played yet
	outputs [trackCount]*output
	viewer  *viewer // while it plays
	since   time.Time
}

// OnRequest keeps clients away from sessions of other connections. gortsplib hands such a request over in its main
// loop and waits there until the session takes it, so a client could stop the server for everybody. Nothing is lost: a
// session ends with its connection here.
func (h *handler) OnRequest(c *gortsplib.ServerConn, request *base.Request) {
	if _, ok := request.Header["Session"]; ok && c.Session() == nil {
		request.Header["Session"] = base.HeaderValue{"of another connection"} // there is none: 454
	}
}

// OnConnClose ends the connection's session. RFC 2326 lets a session by UDP outlive its connection, but nobody could
// control this one any more, and the vehicle would go on sending for it at somebody's cost.
func (h *handler) OnConnClose(ctx *gortsplib.ServerHandlerOnConnCloseCtx) {
	if s := ctx.Conn.Session(); s != nil {
		s.Close()
	}
}

// OnSessionOpen prepares the session's user data.
func (h *handler) OnSessionOpen(ctx *gortsplib.ServerHandlerOnSessionOpenCtx) {
	ctx.Session.SetUserData(&session{})
}

// OnSessionClose gives back what the session holds.
func (h *handler) OnSessionClose(ctx *gortsplib.ServerHandlerOnSessionCloseCtx) {
	s := ctx.Session.UserData().(*session)
	h.stopViewer(s, ctx.Error)
	if s.hold != nil {
		s.timer.Stop()
		s.hold.release()
	}
}

// OnDescribe subscribes, waits for the first key frame, and leaves a lease.
func (h *handler) OnDescribe(ctx *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	key, hold, err := h.find(ctx.Conn, ctx.Path)
	response := h.answer(ctx.Conn, ctx.Path, err)
	if errors.Is(err, errGone) {
		h.metrics.describes.WithLabelValues("gone").Inc()
	} else {
		h.metrics.describes.WithLabelValues(strconv.Itoa(int(response.StatusCode))).Inc()
	}
	if err != nil {
		return response, nil, nil //nolint:nilerr // it is in the response; gortsplib would close the connection for an error
	}
	(*Server)(h).lease(leaseKey{clientOf(ctx.Conn), key}, hold)
	return response, hold.served, nil
}

// OnSetup takes over the client's lease. A client that has not asked by DESCRIBE waits here.
func (h *handler) OnSetup(ctx *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	s := ctx.Session.UserData().(*session)
	if s.hold == nil {
		key, err := parsePath(ctx.Path)
		hold := (*Server)(h).takeLease(leaseKey{clientOf(ctx.Conn), key})
		if hold == nil {
			_, hold, err = h.find(ctx.Conn, ctx.Path)
		}
		if err != nil {
			return h.answer(ctx.Conn, ctx.Path, err), nil, nil
		}
		s.hold = hold
		s.timer = time.AfterFunc(h.Config.Lease, ctx.Session.Close)
	}
	return h.answer(ctx.Conn, ctx.Path, nil), s.hold.served, nil
}

// OnPlay starts the session's viewer. PLAY while it plays changes nothing.
func (h *handler) OnPlay(ctx *gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	s := ctx.Session.UserData().(*session)
	if s.viewer != nil {
		return h.answer(ctx.Conn, ctx.Path, nil), nil
	}
	s.timer.Stop()
	ctx.Conn.NetConn().(*conn).playing.Store(true)
	transport := ctx.Session.SetuppedTransport().String()
	v := &viewer{
		session:   ctx.Session,
		log:       h.Log.With().Stringer("stream", s.hold.stream.key).Stringer("remote", ctx.Conn.NetConn().RemoteAddr()).Str("transport", transport).Logger(),
		metrics:   h.metrics,
		sent:      h.metrics.packets.WithLabelValues(transport),
		udp:       *ctx.Session.SetuppedTransport() == gortsplib.TransportUDP,
		maxLag:    h.Config.MaxLag,
		maxBehind: h.Config.MaxBehind,
	}
	if !s.hold.stream.join(v, &s.outputs) {
		return h.answer(ctx.Conn, ctx.Path, errGone), nil
	}
	s.viewer, s.since = v, time.Now()
	h.metrics.viewers.WithLabelValues(transport).Inc()
	v.log.Info().Msg("viewer plays")
	return h.answer(ctx.Conn, ctx.Path, nil), nil
}

// OnPause stops the session's viewer. The session keeps the stream as long as the client says something now and then.
func (h *handler) OnPause(ctx *gortsplib.ServerHandlerOnPauseCtx) (*base.Response, error) {
	h.stopViewer(ctx.Session.UserData().(*session), nil)
	ctx.Conn.NetConn().(*conn).playing.Store(false)
	return h.answer(ctx.Conn, ctx.Path, nil), nil
}

// OnDecodeError counts what a viewer sends and should not.
func (h *handler) OnDecodeError(*gortsplib.ServerHandlerOnDecodeErrorCtx) {
	h.metrics.viewerErrors.Inc()
}

func (h *handler) stopViewer(s *session, reason error) {
	v := s.viewer
	if v == nil {
		return
	}
	s.viewer = nil
	s.hold.stream.leave(v)
	v.stop()
	h.metrics.viewers.WithLabelValues(v.session.SetuppedTransport().String()).Dec()
	v.log.Info().Dur("after", time.Since(s.since)).AnErr("reason", reason).Msg("viewer stops")
}

// find opens the stream that a path names. Its wait ends when the client closes the connection.
func (h *handler) find(c *gortsplib.ServerConn, path string) (jt1078.Key, *hold, error) {
	key, err := parsePath(path)
	if err != nil {
		return key, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	gone := false
	stop := c.NetConn().(*conn).watch(func() { gone = true; cancel() })
	hold, err := (*Server)(h).open(ctx, key)
	stop() // gone may be read from here on
	if gone {
		if hold != nil {
			hold.release()
		}
		return key, nil, errGone
	}
	return key, hold, err
}

// parsePath reads "/live/06495940943803".
func parsePath(path string) (jt1078.Key, error) {
	kind, id, ok := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if !ok {
		return jt1078.Key{}, errPath
	}
	var key jt1078.Key
	var err error
	if key.Kind, err = jt1078.ParseKind(kind); err != nil || key.Kind == jt1078.KindTalk {
		return jt1078.Key{}, errPath
	}
	if key.ID, err = jt1078.ParseStreamID(id); err != nil {
		return jt1078.Key{}, err
	}
	return key, nil
}

// answer is the response for what became of a request. A refusal says why in its status line, which players show, and
// in the log.
func (h *handler) answer(c *gortsplib.ServerConn, path string, err error) *base.Response {
	if err == nil {
		return &base.Response{StatusCode: base.StatusOK}
	}
	code := base.StatusGatewayTimeout
	var start *startError
	switch {
	case errors.Is(err, errPath), errors.Is(err, jt1078.ErrStreamID), errors.Is(err, errGone):
		code = base.StatusNotFound
	case errors.Is(err, errTooMany), errors.As(err, &start) && start.refusedByNode():
		code = base.StatusServiceUnavailable
	}
	h.Log.Info().Err(err).Int("code", int(code)).Str("path", cut(path, 64)).Stringer("remote", c.NetConn().RemoteAddr()).Msg("refused")
	return &base.Response{
		StatusCode:    code,
		StatusMessage: cut(fmt.Sprintf("%s (%s)", base.StatusMessages[code], err), 200), // clients take 255
	}
}

// cut keeps what fits and can stand in a status line.
func cut(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, text)
	return text[:min(len(text), limit)]
}

func clientOf(c *gortsplib.ServerConn) string {
	return c.NetConn().RemoteAddr().(*net.TCPAddr).IP.String()
}
