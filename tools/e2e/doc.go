// Package e2e tests the whole: the three real binaries and simulated vehicles, judged by what people use: ffprobe,
// ffmpeg, VLC, curl, a real RTMP server (nginx) and a real Redis. It has tests only.
package e2e
