package registry

import (
	"fmt"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// RedisConfig is the `redis` section of a service's configuration.
type RedisConfig struct {
	// Addr is host:port; empty means that there is no Redis.
	Addr     string `yaml:"addr"`
	Password string `yaml:"password"`
	DB       int    `yaml:"db"`
}

// Validate names the first key that is wrong.
func (c *RedisConfig) Validate() error {
	if c.Addr == "" {
		return nil
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		return fmt.Errorf("redis.addr: %q is not host:port", c.Addr)
	}
	if c.DB < 0 {
		return fmt.Errorf("redis.db: %d is below 0", c.DB)
	}
	return nil
}

// NewRedis makes a client, which connects when it is first used and again whenever it has to. A command against a
// Redis that is away fails within seconds; whoever calls retries in its own time. It returns nil when cfg.Addr is empty.
func NewRedis(cfg RedisConfig) *redis.Client {
	if cfg.Addr == "" {
		return nil
	}
	// The library would write a line of its own to stderr for each connection that fails. Its callers get the error
	// and log it once, in the service's form.
	logging.Disable()
	return redis.NewClient(&redis.Options{
		Addr:                  cfg.Addr,
		Password:              cfg.Password,
		DB:                    cfg.DB,
		DialTimeout:           time.Second,
		DialerRetries:         1,
		ReadTimeout:           2 * time.Second,
		WriteTimeout:          2 * time.Second,
		MaxRetries:            -1, // after a retry, an error would not tell whether a command went out
		PoolSize:              8,
		ContextTimeoutEnabled: true,
		// Both would only add commands that plain or old servers answer with errors.
		DisableIdentity:          true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
}
