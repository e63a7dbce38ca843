// Package registry tells which jt1078_server has a stream: nodes announce themselves and the streams that they own in
// Redis, and consumers of the relay ask there. Without Redis there is one node, and Static names it.
//
// Keys, for those who operate or watch the platform (all expire by themselves when their node dies):
//
//	jt1078:nodes                     set of node names, live or dead; dead ones are removed by whoever notices
//	jt1078:node:<name>               JSON of Node, expires 15 s after the node's last heartbeat
//	jt1078:stream:<kind>/<id>        name of the node that owns the stream, expires 30 s after its last heartbeat;
//	                                 set with NX, so that one node owns a stream
package registry

import (
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig is the `redis` section of a service's configuration.
type RedisConfig struct {
	// Addr is host:port; empty means that there is no Redis.
	Addr     string `yaml:"addr"`
	Password string `yaml:"password"`
	DB       int    `yaml:"db"`
}

// NewRedis makes a client, which connects when it is first used and again whenever it has to. A command against a
// Redis that is away fails within seconds; whoever calls retries in its own time. It returns nil when cfg.Addr is empty.
func NewRedis(cfg RedisConfig) *redis.Client {
	if cfg.Addr == "" {
		return nil
	}
	return redis.NewClient(&redis.Options{
		Addr:                  cfg.Addr,
		Password:              cfg.Password,
		DB:                    cfg.DB,
		DialTimeout:           time.Second,
		DialerRetries:         1,
		ReadTimeout:           2 * time.Second,
		WriteTimeout:          2 * time.Second,
		MaxRetries:            1,
		PoolSize:              8,
		ContextTimeoutEnabled: true,
		// Both would only add commands that plain or old servers answer with errors.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
