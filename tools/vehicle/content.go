package main

import (
	"fmt"
	"os"

	"multi_process_server/pkg/jt1078"
	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/vehicle/clip"
)

// content cuts the files, or the built-in clips, and returns which of them a channel shows.
func (o *options) content() (func(channel uint8, sub bool) *simvehicle.Content, error) {
	sound := clip.Sound()
	if o.audio != "" {
		var err error
		if sound, err = os.ReadFile(o.audio); err != nil {
			return nil, fmt.Errorf("--audio: %w", err)
		}
	}
	load := func(flag, file string) (*simvehicle.Content, error) {
		video, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", flag, err)
		}
		options := simvehicle.ContentOptions{Video: video, FPS: o.fps, Sound: sound, HiSilicon: o.hiSilicon}
		if o.h265 {
			options.VideoType = jt1078.PayloadH265
		}
		c, err := simvehicle.NewContent(options)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", flag, file, err)
		}
		return c, nil
	}
	builtIn := func(video []byte) (*simvehicle.Content, error) {
		return simvehicle.NewContent(simvehicle.ContentOptions{Video: video, Sound: sound, HiSilicon: o.hiSilicon})
	}

	var (
		cameras [clip.Cameras]*simvehicle.Content
		sub     *simvehicle.Content
		err     error
	)
	for i := range cameras {
		switch {
		case o.video == "":
			cameras[i], err = builtIn(clip.Camera(uint8(i + 1)))
		case i == 0:
			cameras[i], err = load("--video", o.video)
		default:
			cameras[i] = cameras[0]
		}
		if err != nil {
			return nil, err
		}
	}
	switch {
	case o.sub != "":
		sub, err = load("--sub", o.sub)
	case o.faults.ChangeAfter > 0:
		sub, err = builtIn(clip.Small())
	}
	if err != nil {
		return nil, err
	}
	return func(channel uint8, wantSub bool) *simvehicle.Content {
		if wantSub && sub != nil {
			return sub
		}
		return cameras[(channel+clip.Cameras-1)%clip.Cameras]
	}, nil
}
