// Package httpd is web_server's HTTP listener: what all routes have in common.
package httpd

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gin-gonic/gin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"multi_process_server/services/web_server/internal/problem"
)

const (
	readHeaderTimeout = 10 * time.Second
	// readTimeout bounds a request with its body; it does not touch a response, which may last for days.
	readTimeout    = 30 * time.Second
	idleTimeout    = 2 * time.Minute
	maxHeaderBytes = 64 << 10
	stopTimeout    = 5 * time.Second
)

// Server listens from Initialize to Close.
type Server struct {
	Config   Config
	Log      zerolog.Logger
	Metrics  prometheus.Registerer
	Listener net.Listener
	// Routes adds what is served.
	Routes []func(gin.IRoutes)

	server *http.Server
	wg     sync.WaitGroup
	panics prometheus.Counter
}

// Initialize begins to serve.
func (s *Server) Initialize() error {
	s.panics = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "web_http_panics_total", Help: "Requests that were answered with 500 because of a fault in this program.",
	})
	limited := &listener{
		Listener: s.Listener, log: s.Log, limit: int64(s.Config.MaxConnections),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "web_http_connections_refused_total", Help: "Connections closed because there were http.max_connections already.",
		}),
	}
	s.Metrics.MustRegister(s.panics, limited.refused, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "web_http_connections", Help: "Connections to the HTTP listener.",
	}, func() float64 { return float64(limited.open.Load()) }))

	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	engine.HandleMethodNotAllowed = true
	engine.RedirectTrailingSlash = false
	if err := engine.SetTrustedProxies(nil); err != nil {
		return fmt.Errorf("http: %w", err)
	}
	engine.Use(gin.CustomRecoveryWithWriter(nil, s.recovered), s.cors, s.access)
	engine.NoRoute(noRoute)
	engine.NoMethod(noMethod)
	for _, routes := range s.Routes {
		routes(engine)
	}
	s.server = &http.Server{
		Handler:           engine,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
	}
	s.wg.Go(func() {
		if err := s.server.Serve(limited); !errors.Is(err, http.ErrServerClosed) {
			s.Log.Error().Err(err).Msg("the HTTP listener has ended")
		}
	})
	return nil
}

// Close ends the listener. Requests that wait for a stream must have been ended before.
func (s *Server) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	if err := s.server.Shutdown(ctx); err != nil {
		s.server.Close() //nolint:errcheck // there is nothing left to do about it
	}
	s.wg.Wait()
}

func (s *Server) recovered(c *gin.Context, cause any) {
	s.panics.Inc()
	s.Log.Error().Interface("panic", cause).Str("path", c.Request.URL.Path).Msg("a fault in this program")
	problem.Abort(c, problem.Details{Status: http.StatusInternalServerError, Detail: "a fault in this program; its log says more"})
}

// cors lets pages of the configured origins play from here (https://fetch.spec.whatwg.org, 3.3).
func (s *Server) cors(c *gin.Context) {
	origin := c.GetHeader("Origin")
	if origin == "" {
		return
	}
	header := c.Writer.Header()
	switch {
	case slices.Contains(s.Config.CORSOrigins, "*"):
		header.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(s.Config.CORSOrigins, origin):
		header.Set("Access-Control-Allow-Origin", origin)
		header.Add("Vary", "Origin")
	default:
		return
	}
	if c.Request.Method == http.MethodOptions && c.GetHeader("Access-Control-Request-Method") != "" {
		header.Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		header.Set("Access-Control-Allow-Headers", c.GetHeader("Access-Control-Request-Headers"))
		header.Set("Access-Control-Max-Age", "600")
		c.AbortWithStatus(http.StatusNoContent)
	}
}

func (s *Server) access(c *gin.Context) {
	began := time.Now()
	c.Next()
	s.Log.Debug().Str("method", c.Request.Method).Str("path", c.Request.URL.Path).Int("status", c.Writer.Status()).
		Str("remote", c.ClientIP()).Dur("took", time.Since(began)).Msg("request")
}

func noRoute(c *gin.Context) {
	problem.Abort(c, problem.Details{Status: http.StatusNotFound, Detail: "there is nothing here; streams are at /live/<id>.flv and /replay/<id>.flv"})
}

// noMethod: gin has set Allow.
func noMethod(c *gin.Context) {
	allowed := strings.Join(c.Writer.Header().Values("Allow"), ", ")
	problem.Abort(c, problem.Details{
		Status: http.StatusMethodNotAllowed,
		Detail: fmt.Sprintf("%s is not allowed on %s; use %s", c.Request.Method, c.Request.URL.Path, allowed),
	})
}
