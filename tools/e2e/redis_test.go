package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"multi_process_server/tools/internal/simvehicle"
)

// An outside JT/T 808 server takes commands from Redis; Redis may be down at the start, and go and come back.
func TestExternalCommand(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	p := ownPlatform(t, "JT1078_REDIS_ADDR="+server.address, "JT1078_HUB_START_CONNECT_UNCOMMANDED=3s")
	const id = "06495940943801"
	command := func(number string) string {
		_, port, _ := strings.Cut(p.Addresses.Live, ":")
		return fmt.Sprintf(`{"channelNo":"1","codeStreamType":"1","commandId":"%s","dataType":"0","iccid":"064959409438","ip":"127.0.0.1","port":"%s"}`, number, port)
	}

	// Down at the start: an error in the end, and no service has given up.
	if status := describe(t, p.Addresses.RTSP, p.rtsp(id)); !strings.HasPrefix(status, "RTSP/1.0 504") {
		t.Errorf("with Redis down: %q", status)
	}

	server.start(t)
	client := redis.NewClient(&redis.Options{Addr: server.address})
	defer client.Close()
	next := func() string {
		t.Helper()
		for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
			line, err := client.LPop(t.Context(), "EXTERNAL_COMMAND").Result()
			if err == nil {
				return line
			}
			if !errors.Is(err, redis.Nil) {
				t.Logf("Redis: %v", err)
			}
			time.Sleep(20 * time.Millisecond)
		}
		t.Fatal("no command came")
		return ""
	}
	play := func() {
		t.Helper()
		// The refusal that follows a failed start has to be over.
		var watching *viewer
		eventually(t, "the vehicle is asked for", func() bool {
			if watching == nil || ended(watching) {
				watching = view(t, p.rtsp(id), "-rtsp_transport", "tcp")
			}
			n, err := client.LLen(t.Context(), "EXTERNAL_COMMAND").Result()
			return err == nil && n > 0
		})
		if got, want := next(), command("9101"); got != want {
			t.Fatalf("the start is\n%s, want\n%s", got, want)
		}
		// The outside server tells the vehicle, which dials.
		v := p.vehicle(t, func(v *simvehicle.Vehicle) {
			v.SIM, v.Gateway, v.Media = mustSIM(t, "064959409438"), "", p.Addresses.Live
		})
		watching.waitFor(t, 25)
		watching.leave()
		if got, want := next(), command("9102"); got != want {
			t.Fatalf("the stop is\n%s, want\n%s", got, want)
		}
		v.Close()
	}
	play()

	// Down while running.
	server.kill()
	eventually(t, "a start fails for want of Redis", func() bool {
		return strings.HasPrefix(describe(t, p.Addresses.RTSP, p.rtsp("06495940943802")), "RTSP/1.0 504")
	})
	server.start(t)
	play()
}

func ended(v *viewer) bool {
	select {
	case <-v.done:
		return true
	default:
		return false
	}
}

// A vehicle at the gateway is told there, though there is Redis.
func TestGatewayComesFirst(t *testing.T) {
	t.Parallel()
	server := newRedis(t)
	server.start(t)
	p := ownPlatform(t, "JT1078_REDIS_ADDR="+server.address)
	v := p.vehicle(t, nil)
	viewer := view(t, p.flv(v.id(1)))
	viewer.waitFor(t, 25)
	viewer.leave()
	v.waitIdle(t, 1)
	client := redis.NewClient(&redis.Options{Addr: server.address})
	defer client.Close()
	if n, err := client.LLen(t.Context(), "EXTERNAL_COMMAND").Result(); err != nil || n != 0 {
		t.Errorf("%d commands in Redis, %v", n, err)
	}
}
