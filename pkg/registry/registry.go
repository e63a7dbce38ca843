// Package registry tells which jt1078_server has a stream, where there are several: nodes announce themselves and their
// streams in Redis (Announcer), and consumers of the relay ask there (Directory). Without Redis there is one node,
// consumers have its address in their configuration, and none of this is needed.
//
// The keys are a contract with those who operate the platform; all but the set expire by themselves:
//
//	jt1078:nodes               set of node names; the dead are removed by the consumer that notices
//	jt1078:node:<name>         JSON of Node; expires 15 s after the node's last heartbeat (every 5 s)
//	jt1078:stream:<kind>/<id>  name of the node that owns the stream, set only while no live node is there; expires
//	                           30 s after the node's last heartbeat with the stream, or a consumer's question
//
// A vehicle dials where the start command tells it to, and the command comes from the node whose relay was asked. So a
// consumer's question for a stream that nobody owns decides where the vehicle goes.
package registry

import (
	"time"

	"github.com/redis/go-redis/v9"

	"multi_process_server/pkg/jt1078"
)

const (
	nodesKey     = "jt1078:nodes"
	nodePrefix   = "jt1078:node:"
	streamPrefix = "jt1078:stream:"

	heartbeat = 5 * time.Second
	nodeTTL   = 3 * heartbeat
	streamTTL = 6 * heartbeat
)

// Node is what a jt1078_server says of itself.
type Node struct {
	// Name is unique among the nodes and stays the same over a restart.
	Name string `json:"name"`
	// PublicHost is where vehicles dial.
	PublicHost string `json:"public_host"`
	// RelayAddress is host:port where consumers reach the node's relay.
	RelayAddress string `json:"relay_address"`
	// Streams is the node's load: how many streams it has.
	Streams int `json:"streams"`
}

func nodeKey(name string) string         { return nodePrefix + name }
func streamKey(stream jt1078.Key) string { return streamPrefix + stream.String() }

// claim makes node ARGV[1] the owner of each stream in KEYS that has no owner, or one that is dead, for ARGV[2] ms. It
// returns the streams' owners. One script, so that of two who claim one gets it.
var claim = redis.NewScript(`
local owners = {}
for i, stream in ipairs(KEYS) do
	local owner = redis.call('GET', stream)
	if not owner or owner == ARGV[1] or redis.call('EXISTS', '` + nodePrefix + `' .. owner) == 0 then
		owner = ARGV[1]
		redis.call('SET', stream, owner, 'PX', ARGV[2])
	end
	owners[i] = owner
end
return owners`)

// disown removes those of the streams in KEYS that node ARGV[1] owns.
var disown = redis.NewScript(`
for _, stream in ipairs(KEYS) do
	if redis.call('GET', stream) == ARGV[1] then redis.call('DEL', stream) end
end
return 0`)
