package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/redis/go-redis/v9"

	"multi_process_server/pkg/jt1078"
)

// ErrNoNode says that no node is alive, or that the one whose stream it is has died this moment.
var ErrNoNode = errors.New("no jt1078_server is registered in Redis")

// Directory finds streams. It keeps nothing; its methods may be called from many goroutines.
type Directory struct {
	Redis *redis.Client
}

// Resolve returns the relay address of the node that owns the stream. A stream that no live node owns goes to the node
// with the fewest streams, which from now on owns it. The error is ErrNoNode, or Redis's.
func (d *Directory) Resolve(ctx context.Context, stream jt1078.Key) (address string, err error) {
	owner, err := d.Redis.Get(ctx, streamKey(stream)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", err
	}
	nodes, err := d.Nodes(ctx)
	if err != nil {
		return "", err
	}
	if node, ok := nodes[owner]; ok {
		return node.RelayAddress, nil
	}
	if len(nodes) == 0 {
		return "", ErrNoNode
	}
	owners, err := claim.Run(ctx, d.Redis, []string{streamKey(stream)}, leastLoaded(nodes), streamTTL.Milliseconds()).StringSlice()
	if err != nil {
		return "", err
	}
	// Another consumer may have been first.
	if node, ok := nodes[owners[0]]; ok {
		return node.RelayAddress, nil
	}
	return "", fmt.Errorf("%w as %q, which has just been given %s", ErrNoNode, owners[0], stream)
}

// Nodes are the live ones, by name.
func (d *Directory) Nodes(ctx context.Context) (map[string]Node, error) {
	names, err := d.Redis.SMembers(ctx, nodesKey).Result()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = nodeKey(name)
	}
	texts, err := d.Redis.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, err
	}
	nodes := make(map[string]Node, len(names))
	var dead []any
	for i, text := range texts {
		text, ok := text.(string)
		if !ok {
			dead = append(dead, names[i])
			continue
		}
		var node Node
		if err := json.Unmarshal([]byte(text), &node); err != nil {
			return nil, fmt.Errorf("%s: %w", keys[i], err)
		}
		nodes[names[i]] = node
	}
	if len(dead) > 0 {
		// A node that lives after all adds itself again with its next heartbeat.
		if err := d.Redis.SRem(ctx, nodesKey, dead...).Err(); err != nil {
			return nil, err
		}
	}
	return nodes, nil
}

// leastLoaded picks the node with the fewest streams, at random among equals.
func leastLoaded(nodes map[string]Node) string {
	var best []string
	for name, node := range nodes {
		if len(best) > 0 && node.Streams > nodes[best[0]].Streams {
			continue
		}
		if len(best) > 0 && node.Streams < nodes[best[0]].Streams {
			best = best[:0]
		}
		best = append(best, name)
	}
	return best[rand.IntN(len(best))]
}
