package hub

import (
	"multi_process_server/pkg/jt1078"
	"multi_process_server/pkg/media"
)

// codecOf reads a payload type of JT/T 1078-2016 table 12. For video it is the vehicle's word only, see AppendHead.
func codecOf(dataType jt1078.DataType, payload jt1078.PayloadType) media.Codec {
	switch {
	case dataType.IsVideo():
		switch payload {
		case jt1078.PayloadH265:
			return media.CodecH265
		case jt1078.PayloadAVS:
			return media.CodecAVS
		case jt1078.PayloadSVAC:
			return media.CodecSVAC
		}
		return media.CodecH264 // the commonest, whatever else the number says
	case dataType == jt1078.DataPassthrough:
		return media.CodecData
	}
	switch payload {
	case jt1078.PayloadG711A:
		return media.CodecG711A
	case jt1078.PayloadG711U:
		return media.CodecG711U
	case jt1078.PayloadG726:
		return media.CodecG726
	case jt1078.PayloadADPCMA:
		return media.CodecADPCM
	case jt1078.PayloadDVI4x3, jt1078.PayloadDVI4x4, jt1078.PayloadDVI4x8K, jt1078.PayloadDVI4x16K:
		return media.CodecDVI4
	case jt1078.PayloadLPCM:
		return media.CodecLPCM
	case jt1078.PayloadS16BEStereo, jt1078.PayloadS16BEMono, jt1078.PayloadPCMVoice, jt1078.PayloadPCMAudio:
		return media.CodecPCM
	case jt1078.PayloadAAC, jt1078.PayloadHEAAC, jt1078.PayloadAACLC, jt1078.PayloadMP4Audio:
		return media.CodecAAC
	case jt1078.PayloadMPEGAudio, jt1078.PayloadMP3:
		return media.CodecMPEGAudio
	}
	return media.CodecUnsupportedAudio
}
