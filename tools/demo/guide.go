package main

import (
	"fmt"
	"strings"

	"multi_process_server/tools/internal/suite"
)

// guide says what can be done now.
func guide(s *suite.Suite) string {
	const example = "06495940943803"
	web, rtsp := "http://"+local(s.Addresses.HTTP), "rtsp://"+local(s.Addresses.RTSP)

	var streams []string
	for _, f := range fleet {
		for channel := range f.channels {
			streams = append(streams, fmt.Sprintf("%s%02d", f.sim, channel+1))
		}
	}
	return fmt.Sprintf(`
Two simulated vehicles with %d cameras are online. They send only while somebody watches.

  VLC, ffplay:        %s/live/%s
  the same, HTTP-FLV: %s/live/%s.flv
  all streams:        %s

  Ask for a stream for 30 s, before there is a viewer:
    curl "%s/web_on_play" -X POST -d "{\"device_id\":\"%s\"}"
  What SRS says when a viewer comes and goes:
    curl "%s/api/v1/sessions" -X POST -d "{\"client_id\":\"dsfsdfsafd\",\"stream\":\"%s\",\"action\":\"on_play\"}"
    curl "%s/api/v1/sessions" -X POST -d "{\"client_id\":\"dsfsdfsafd\",\"stream\":\"%s\",\"action\":\"on_stop\"}"

  Metrics: http://%s/metrics  http://%s/metrics  http://%s/metrics
  Logs:    %s

Ctrl-C ends everything.

`, len(streams), rtsp, example, web, example, strings.Join(streams, " "),
		web, example, web, example, web, example,
		local(s.Addresses.JT1078Admin), local(s.Addresses.PCAdmin), local(s.Addresses.WebAdmin), s.Logs)
}
