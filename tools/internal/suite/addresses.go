package suite

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Addresses are where the services listen.
type Addresses struct {
	Live, Replay, Gateway, Relay   string // jt1078_server
	RTSP, RTP, RTCP                string // pc_server
	HTTP                           string // web_server
	JT1078Admin, PCAdmin, WebAdmin string
}

// Endpoint is one of the Addresses with what people need to know of it.
type Endpoint struct {
	Address  *string
	Network  string // tcp or udp
	Variable string // of the environment that changes it
	Purpose  string
}

// Endpoints lists the addresses.
func (a *Addresses) Endpoints() []Endpoint {
	return []Endpoint{
		{&a.Live, "tcp", "JT1078_INGEST_LIVE_ADDRESS", "vehicles, live media"},
		{&a.Replay, "tcp", "JT1078_INGEST_REPLAY_ADDRESS", "vehicles, playback media"},
		{&a.Gateway, "tcp", "JT1078_GATEWAY_ADDRESS", "vehicles, JT/T 808 signalling"},
		{&a.Relay, "tcp", "JT1078_RELAY_ADDRESS", "the relay between the services"},
		{&a.RTSP, "tcp", "PC_RTSP_ADDRESS", "RTSP"},
		{&a.RTP, "udp", "PC_RTSP_RTP_ADDRESS", "RTP of RTSP by UDP"},
		{&a.RTCP, "udp", "PC_RTSP_RTCP_ADDRESS", "RTCP of RTSP by UDP"},
		{&a.HTTP, "tcp", "WEB_HTTP_ADDRESS", "HTTP"},
		{&a.JT1078Admin, "tcp", "JT1078_ADMIN_ADDRESS", "jt1078_server's admin listener"},
		{&a.PCAdmin, "tcp", "PC_ADMIN_ADDRESS", "pc_server's admin listener"},
		{&a.WebAdmin, "tcp", "WEB_ADMIN_ADDRESS", "web_server's admin listener"},
	}
}

// DefaultAddresses are the services' own defaults; what a variable of the environment says comes first.
func DefaultAddresses(getenv func(string) string) Addresses {
	a := Addresses{
		Live: ":9501", Replay: ":9502", Gateway: ":9503", Relay: "127.0.0.1:9511",
		RTSP: ":9521", RTP: ":9522", RTCP: ":9523", HTTP: ":9531",
		JT1078Admin: "127.0.0.1:9591", PCAdmin: "127.0.0.1:9592", WebAdmin: "127.0.0.1:9593",
	}
	for _, e := range a.Endpoints() {
		if v := getenv(e.Variable); v != "" {
			*e.Address = v
		}
	}
	return a
}

// CheckFree tells of each address that cannot be had.
func (a *Addresses) CheckFree() error {
	var taken []error
	for _, e := range a.Endpoints() {
		if err := tryListen(e.Network, *e.Address); err != nil {
			_, port, _ := net.SplitHostPort(*e.Address)
			taken = append(taken, fmt.Errorf("port %s (%s) cannot be had: %w; end what uses it or choose another, for example %s=127.0.0.1:1%s",
				port, e.Purpose, err, e.Variable, port))
		}
	}
	return errors.Join(taken...)
}

func tryListen(network, address string) error {
	if network == "udp" {
		c, err := net.ListenPacket(network, address) //nolint:noctx // it returns at once
		if err != nil {
			return err
		}
		return c.Close()
	}
	l, err := net.Listen(network, address) //nolint:noctx // it returns at once
	if err != nil {
		return err
	}
	return l.Close()
}

// FreeAddresses are loopback addresses that nothing listens on.
func FreeAddresses() (Addresses, error) {
	var a Addresses
	ports, err := FreePorts(len(a.Endpoints()) + 1)
	if err != nil {
		return a, err
	}
	if ports[0]%2 == 1 { // RTP wants an even port and RTCP the next one
		ports = ports[1:]
	}
	a.RTP, a.RTCP = Loopback(ports[0]), Loopback(ports[1])
	ports = ports[2:]
	for _, e := range a.Endpoints() {
		if *e.Address == "" {
			*e.Address, ports = Loopback(ports[0]), ports[1:]
		}
	}
	return a, nil
}

// Loopback is a port of this machine.
func Loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// FreePorts are n ports in a row that are free for TCP and UDP. They lie below those that systems give to outgoing
// connections, so that they stay free until they are used.
func FreePorts(n int) ([]int, error) {
	const low, high, attempts = 15000, 32000, 200
	var last error
next:
	for range attempts {
		first := low + rand.IntN(high-low-n)
		ports := make([]int, n)
		for i := range ports {
			ports[i] = first + i
			for _, network := range [2]string{"tcp", "udp"} {
				if last = tryListen(network, Loopback(ports[i])); last != nil {
					continue next
				}
			}
		}
		return ports, nil
	}
	return nil, fmt.Errorf("no %d free ports in a row between %d and %d: %w", n, low, high, last)
}
