package jt1078

import "fmt"

// PayloadType is what a packet's body is coded in (JT/T 1078-2016, table 12), seven bits on the wire. Real vehicles
// get it wrong often enough that consumers look into the body too.
type PayloadType uint8

// Payload types of table 12. Those above PayloadSVAC up to 127 are reserved or a manufacturer's own.
const (
	PayloadG721        PayloadType = 1
	PayloadG722        PayloadType = 2
	PayloadG723        PayloadType = 3
	PayloadG728        PayloadType = 4
	PayloadG729        PayloadType = 5
	PayloadG711A       PayloadType = 6
	PayloadG711U       PayloadType = 7
	PayloadG726        PayloadType = 8
	PayloadG729A       PayloadType = 9
	PayloadDVI4x3      PayloadType = 10
	PayloadDVI4x4      PayloadType = 11
	PayloadDVI4x8K     PayloadType = 12
	PayloadDVI4x16K    PayloadType = 13
	PayloadLPC         PayloadType = 14
	PayloadS16BEStereo PayloadType = 15
	PayloadS16BEMono   PayloadType = 16
	PayloadMPEGAudio   PayloadType = 17
	PayloadLPCM        PayloadType = 18
	PayloadAAC         PayloadType = 19
	PayloadWMA9        PayloadType = 20
	PayloadHEAAC       PayloadType = 21
	PayloadPCMVoice    PayloadType = 22
	PayloadPCMAudio    PayloadType = 23
	PayloadAACLC       PayloadType = 24
	PayloadMP3         PayloadType = 25
	PayloadADPCMA      PayloadType = 26
	PayloadMP4Audio    PayloadType = 27
	PayloadAMR         PayloadType = 28
	PayloadPassthrough PayloadType = 91
	PayloadH264        PayloadType = 98
	PayloadH265        PayloadType = 99
	PayloadAVS         PayloadType = 100
	PayloadSVAC        PayloadType = 101
)

var payloadNames = [128]string{
	PayloadG721:        "G.721",
	PayloadG722:        "G.722",
	PayloadG723:        "G.723",
	PayloadG728:        "G.728",
	PayloadG729:        "G.729",
	PayloadG711A:       "G.711A",
	PayloadG711U:       "G.711U",
	PayloadG726:        "G.726",
	PayloadG729A:       "G.729A",
	PayloadDVI4x3:      "DVI4_3",
	PayloadDVI4x4:      "DVI4_4",
	PayloadDVI4x8K:     "DVI4_8K",
	PayloadDVI4x16K:    "DVI4_16K",
	PayloadLPC:         "LPC",
	PayloadS16BEStereo: "S16BE_STEREO",
	PayloadS16BEMono:   "S16BE_MONO",
	PayloadMPEGAudio:   "MPEGAUDIO",
	PayloadLPCM:        "LPCM",
	PayloadAAC:         "AAC",
	PayloadWMA9:        "WMA9STD",
	PayloadHEAAC:       "HEAAC",
	PayloadPCMVoice:    "PCM_VOICE",
	PayloadPCMAudio:    "PCM_AUDIO",
	PayloadAACLC:       "AACLC",
	PayloadMP3:         "MP3",
	PayloadADPCMA:      "ADPCMA",
	PayloadMP4Audio:    "MP4AUDIO",
	PayloadAMR:         "AMR",
	PayloadPassthrough: "passthrough",
	PayloadH264:        "H.264",
	PayloadH265:        "H.265",
	PayloadAVS:         "AVS",
	PayloadSVAC:        "SVAC",
}

// String is the name that table 12 gives, "payload(N)" for a number it does not name.
func (t PayloadType) String() string {
	if int(t) < len(payloadNames) && payloadNames[t] != "" {
		return payloadNames[t]
	}
	return fmt.Sprintf("payload(%d)", uint8(t))
}

// IsVideo reports whether table 12 calls the type video.
func (t PayloadType) IsVideo() bool { return t >= PayloadH264 && t <= PayloadSVAC }

// IsAudio reports whether table 12 calls the type audio.
func (t PayloadType) IsAudio() bool { return t >= PayloadG721 && t <= PayloadAMR }
