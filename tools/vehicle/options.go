package main

import (
	"flag"
	"fmt"
	"strconv"
	"strings"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/jt808"
	"multi_process_server/tools/internal/simvehicle"
)

type options struct {
	gateway, media           string
	series                   seriesFlag
	count, channels          int
	year2019, unasked        bool
	video, sub, audio        string
	fps                      int
	h265, hiSilicon, noSound bool
	faults                   simvehicle.Faults
}

func parse(args []string) (*options, error) {
	var o options
	f := flag.NewFlagSet("vehicle", flag.ExitOnError)
	f.StringVar(&o.gateway, "gateway", "127.0.0.1:9503", "`address` of the JT/T 808 gateway")
	f.StringVar(&o.media, "media", "127.0.0.1:9501", "`address` to send to with --unasked")
	f.BoolVar(&o.unasked, "unasked", false, "send every channel at once, with no gateway")
	f.Var(&o.series, "sim", "`SIM[:channels]` of a vehicle; may be given several times (default 064959409438)")
	f.IntVar(&o.count, "count", 1, "how many vehicles, counted up from each SIM")
	f.IntVar(&o.channels, "channels", 1, "channels of a vehicle whose --sim does not say")
	f.BoolVar(&o.year2019, "2019", false, "speak JT/T 808-2019, with ten bytes of SIM")
	f.StringVar(&o.video, "video", "", "Annex B `file` (ffmpeg -bf 0 -f h264); default the built-in clip")
	f.StringVar(&o.sub, "sub", "", "Annex B `file` of the sub stream; default the same as the main stream's")
	f.BoolVar(&o.h265, "h265", false, "the files are H.265")
	f.IntVar(&o.fps, "fps", 25, "frames per second of the files")
	f.StringVar(&o.audio, "audio", "", "`file` of raw G.711 A-law, 8 kHz (ffmpeg -f alaw)")
	f.BoolVar(&o.noSound, "no-sound", false, "send pictures alone")
	f.BoolVar(&o.hiSilicon, "hisilicon", false, "put HiSilicon's four bytes before the sound")
	f.Var(&o.faults, "fault", "misbehave, with commas: "+simvehicle.FaultNames())
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if len(o.series) == 0 {
		if err := o.series.Set("064959409438"); err != nil {
			return nil, err
		}
	}
	switch {
	case f.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q; see --help", f.Arg(0))
	case o.channels < 1 || o.channels > jt1078.MaxChannel:
		return nil, fmt.Errorf("--channels %d: want 1 to %d", o.channels, jt1078.MaxChannel)
	case o.count < 1:
		return nil, fmt.Errorf("--count %d: want at least 1", o.count)
	case o.fps < 1:
		return nil, fmt.Errorf("--fps %d: want at least 1", o.fps)
	}
	return &o, nil
}

func (o *options) vehicles() ([]*simvehicle.Vehicle, error) {
	content, err := o.content()
	if err != nil {
		return nil, err
	}
	var vehicles []*simvehicle.Vehicle
	for _, series := range o.series {
		if series.sim.Long() && !o.year2019 {
			return nil, fmt.Errorf("--sim %s: more than 12 digits need --2019", series.sim)
		}
		for _, sim := range simvehicle.SIMRange(series.sim, o.count) {
			v := &simvehicle.Vehicle{SIM: sim, Channels: uint8(o.channels), Content: content, NoSound: o.noSound, Faults: o.faults}
			if series.channels > 0 {
				v.Channels = series.channels
			}
			if o.year2019 {
				v.Version = jt808.Version2019
			}
			if o.unasked {
				v.Media = o.media
			} else {
				v.Gateway = o.gateway
			}
			vehicles = append(vehicles, v)
		}
	}
	return vehicles, nil
}

// series is one --sim.
type series struct {
	sim      jt1078.SIM
	channels uint8 // 0: what --channels says
}

type seriesFlag []series

func (f *seriesFlag) String() string { return "" }

func (f *seriesFlag) Set(text string) error {
	number, channels, hasChannels := strings.Cut(text, ":")
	sim, err := jt1078.ParseSIM(number)
	if err != nil {
		return err
	}
	s := series{sim: sim}
	if hasChannels {
		n, err := strconv.Atoi(channels)
		if err != nil || n < 1 || n > jt1078.MaxChannel {
			return fmt.Errorf("%q channels: want 1 to %d", channels, jt1078.MaxChannel)
		}
		s.channels = uint8(n)
	}
	*f = append(*f, s)
	return nil
}
