package hooks

import (
	"errors"
	"fmt"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/services/web_server/internal/srs"
)

// keyOf names the stream of a callback. HLS and FLV players may be reported with their suffix.
func keyOf(hook *callback) (jt1078.Key, error) {
	kind, err := playableKind(hook.App)
	if err != nil {
		return jt1078.Key{}, fmt.Errorf("app: %w", err)
	}
	id, err := jt1078.ParseStreamID(srs.StreamName(hook.Stream))
	if err != nil {
		return jt1078.Key{}, err
	}
	return jt1078.Key{Kind: kind, ID: id}, nil
}

// playableKind reads a kind that viewers can ask for; live where they do not say.
func playableKind(s string) (jt1078.Kind, error) {
	switch s {
	case "", "live":
		return jt1078.KindLive, nil
	case "replay":
		return jt1078.KindReplay, nil
	}
	return 0, fmt.Errorf("%.40q is neither live nor replay", s)
}

// canonicalOf is the stream id that a refused one should have been, where it can be told.
func canonicalOf(err error) string {
	var e *jt1078.NotCanonicalError
	if errors.As(err, &e) {
		return e.Canonical.String()
	}
	return ""
}
