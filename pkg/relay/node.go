package relay

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"

	relayv1 "multi_process_server/proto/relay/v1"
)

const (
	// connectTimeout is for one try to connect; a node that is down refuses at once, one that is gone says nothing.
	connectTimeout = 2 * time.Second
	// connectBackoff is the longest pause between two tries to connect: a restarted node is found in half a second.
	connectBackoff = 400 * time.Millisecond

	// A node is dead when it has been silent for so long. The kernel's probes find a machine or a network that is gone
	// in 5 s and cost nothing while frames flow; gRPC's pings, which it allows every 10 s at most, find a process that
	// stands still in 13 s.
	pingAfter   = 10 * time.Second
	pingTimeout = 3 * time.Second
	probeAfter  = 2 * time.Second
	probeEvery  = time.Second
	probeCount  = 3

	// readBuffer takes in a burst of frames with one system call.
	readBuffer = 64 << 10
	// connWindow bounds what may be under way on the connection, all streams together. gRPC gives it back as soon as
	// bytes arrive, whether or not a subscription has read them, so it need only cover the way there and back: 4 MiB
	// in 20 ms is 1.6 Gbit/s.
	connWindow = 4 << 20
)

// node is the connection to one jt1078_server, shared by the subscriptions that take streams from it.
type node struct {
	address string
	conn    *grpc.ClientConn
	relay   relayv1.RelayClient
	users   int         // guarded by the client's mutex
	silent  atomic.Bool // it does not answer, and the log says so
}

func newNode(address string, config *Config) (*node, error) {
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: probeAfter, Interval: probeEvery, Count: probeCount}}
	conn, err := grpc.NewClient(
		// passthrough leaves the name to the dialer, which looks it up anew for each connection: a container that was
		// restarted has another address.
		"passthrough:///"+address,
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp", address)
		}),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(
			grpc.ForceCodecV2(relayv1.GRPCCodec{}),
			grpc.MaxCallRecvMsgSize(config.MaxFrameBytes),
		),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: connectBackoff},
			MinConnectTimeout: connectTimeout,
		}),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: pingAfter, Timeout: pingTimeout, PermitWithoutStream: true}),
		// gRPC would size its windows by the bandwidth that it sees, up to 16 MiB a stream: seconds of old picture
		// that no queue of ours knows of.
		grpc.WithStaticStreamWindowSize(int32(config.StreamWindowBytes)),
		grpc.WithStaticConnWindowSize(connWindow),
		grpc.WithReadBufferSize(readBuffer),
		grpc.WithIdleTimeout(0), // stay connected with no stream
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(), // a subscription does so itself
	)
	if err != nil {
		return nil, err
	}
	conn.Connect()
	return &node{address: address, conn: conn, relay: relayv1.NewRelayClient(conn)}, nil
}

// ready is nil when the node is connected.
func (n *node) ready() error {
	switch state := n.conn.GetState(); state {
	case connectivity.Ready:
		return nil
	case connectivity.Idle: // a connection has ended, and no subscription is there to make a new one
		n.conn.Connect()
		fallthrough
	default:
		return fmt.Errorf("relay %s does not answer (%s): is jt1078_server running there?", n.address, state)
	}
}

func (n *node) close() {
	// The only error is that it is closed already.
	_ = n.conn.Close()
}
