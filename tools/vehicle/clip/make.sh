#!/bin/sh
# Makes the simulated vehicle's clips: the pictures of its four cameras, a small one, and the sound.
# Needs Go, ffmpeg with libx264 and the DejaVu fonts (Debian: ffmpeg fonts-dejavu-core). Takes some minutes.
#
# H.264 Main, Annex B, one slice, no B-frames, an IDR with its parameter sets every 50 frames and nowhere else; no SEI.
set -eu
cd "$(dirname "$0")"

seconds=6 # three groups of pictures, three beeps
fps=25
font=/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
go build -o "$work/scene" ./scene

# text X Y TEXT: a label as a vehicle's recorder writes it.
text() {
	printf "drawtext=fontfile=$font:fontsize=21:fontcolor=white:box=1:boxcolor=black@0.45:boxborderw=7:x=%s:y=%s:text='%s'" "$1" "$2" "$3"
}

# encode NAME SIZE BITRATE LABEL: labels and encodes $work/raw in two passes, which meets the bit rate closely.
encode() {
	labels=$(text 18 18 "$4"),$(text w-tw-18 18 '%{pts\:hms}'),$(text w-tw-18 h-th-18 "JT/T 1078  $2  $fps fps")
	for pass in 1 2; do
		ffmpeg -v error -y -f rawvideo -pix_fmt rgb24 -s 704x576 -r $fps -i "$work/raw" \
			-vf "$labels,scale=$2:flags=area,format=yuv420p" \
			-c:v libx264 -profile:v main -preset slow -pass $pass -passlogfile "$work/pass" \
			-b:v "$3" -maxrate "$3" -bufsize "$3" -g 50 -keyint_min 50 -sc_threshold 0 -bf 0 -refs 2 \
			-x264-params open-gop=0 -bsf:v filter_units=remove_types=6 -f h264 "$1.h264"
	done
}

channel=1
for view in front rear left right; do
	"$work/scene" --view $view --seconds $seconds --fps $fps >"$work/raw"
	label=$(echo "CH$channel  $view" | tr '[:lower:]' '[:upper:]')
	encode $view 704x576 1000k "$label"
	if [ $view = front ]; then
		encode small 352x288 300k "$label SUB"
	fi
	channel=$((channel + 1))
done

"$work/scene" --sound --seconds $seconds |
	ffmpeg -v error -y -f s16le -ar 8000 -ac 1 -i - -c:a pcm_alaw -f alaw sound.alaw
