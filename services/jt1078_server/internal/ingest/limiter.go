package ingest

import (
	"sync"
	"time"
)

// limiter is a token bucket: burst at once, then perSecond.
type limiter struct {
	perSecond, burst float64

	mu     sync.Mutex // guards what follows
	tokens float64
	at     time.Time
}

func newLimiter(perSecond, burst int) *limiter {
	return &limiter{perSecond: float64(perSecond), burst: float64(burst), tokens: float64(burst)}
}

// allow takes a token, if there is one.
func (l *limiter) allow(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.at.IsZero() {
		l.tokens = min(l.burst, l.tokens+l.perSecond*now.Sub(l.at).Seconds())
	}
	l.at = now
	if l.tokens < 1 {
		return false
	}
	l.tokens--
	return true
}
