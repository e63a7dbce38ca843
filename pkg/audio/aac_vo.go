//go:build voaac

package audio

/*
#cgo pkg-config: vo-aacenc
#include <stdlib.h>
#include <string.h>
#include <vo-aacenc/cmnMemory.h>
#include <vo-aacenc/voAAC.h>

// One encoder and what the library keeps pointers to between calls: all of it C memory, so that it holds no Go pointer.
typedef struct {
	VO_AUDIO_CODECAPI api;
	VO_MEM_OPERATOR memory;
	VO_HANDLE handle;
	VO_U32 status; // of the last call
	short pcm[1024];
	unsigned char unit[6144 / 8]; // the most that ISO/IEC 14496-3 allows one channel
} encoder;

static void encoder_close(encoder *e) {
	if (e->handle) e->api.Uninit(e->handle);
	free(e);
}

static encoder *encoder_open(int rate, int bit_rate, VO_U32 *status) {
	encoder *e = calloc(1, sizeof *e);
	if (!e) { *status = VO_ERR_OUTOF_MEMORY; return NULL; }
	e->memory = (VO_MEM_OPERATOR){cmnMemAlloc, cmnMemFree, cmnMemSet, cmnMemCopy, cmnMemCheck, cmnMemCompare, cmnMemMove};
	VO_CODEC_INIT_USERDATA user = {.memflag = VO_IMF_USERMEMOPERATOR, .memData = &e->memory};
	AACENC_PARAM param = {.sampleRate = rate, .bitRate = bit_rate, .nChannels = 1, .adtsUsed = 0};
	*status = voGetAACEncAPI(&e->api);
	if (!*status) *status = e->api.Init(&e->handle, VO_AUDIO_CodingAAC, &user);
	if (!*status) *status = e->api.SetParam(e->handle, VO_PID_AAC_ENCPARAM, &param);
	if (*status) { encoder_close(e); return NULL; }
	return e;
}

// Takes 1024 samples, leaves the access unit in e->unit and returns its length; 0 with e->status after a failure.
static int encoder_encode(encoder *e, const short *pcm) {
	VO_CODECBUFFER in = {.Buffer = (VO_PBYTE)e->pcm, .Length = sizeof e->pcm};
	VO_CODECBUFFER out = {.Buffer = e->unit, .Length = sizeof e->unit};
	VO_AUDIO_OUTPUTINFO info;
	memcpy(e->pcm, pcm, sizeof e->pcm);
	e->status = e->api.SetInputData(e->handle, &in);
	if (!e->status) e->status = e->api.GetOutputData(e->handle, &out, &info);
	return e->status ? 0 : out.Length;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"unsafe"
)

// voDelay was measured, at every rate (the tests do it again): libvo-aacenc looks 576 samples ahead for its block
// switching, on top of the overlap of one unit.
const voDelay = 1600

// voMinRate is the least rate that libvo-aacenc is used at, in Hz. Below 16 kHz it fails on some tones in noise (10 dB of
// SNR where 40 are usual), and its delay is counted in samples: twice the rate, half the delay.
const voMinRate = 16000

// voAAC is libvo-aacenc's encoder.
type voAAC struct {
	resampler *Resampler
	encoder   *C.encoder
	leak      runtime.Cleanup
	pcm       []int16 // at the output's rate, less than a unit between calls
	out       aacUnits
	config    []byte
}

// NewAACEncoder returns an encoder for mono PCM of the given rate in Hz: one of MPEG-4's from 8,000 to 48,000.
func NewAACEncoder(inputRate int) (AACEncoder, error) {
	bitRate, err := aacEncoderRate(inputRate)
	if err != nil {
		return nil, err
	}
	rate := inputRate
	if rate < voMinRate {
		rate *= 2
	}
	resampler, err := NewResampler(inputRate, rate)
	if err != nil {
		return nil, fmt.Errorf("AAC encoder: %w", err)
	}
	var status C.VO_U32
	encoder := C.encoder_open(C.int(rate), C.int(bitRate), &status)
	if encoder == nil {
		return nil, fmt.Errorf("libvo-aacenc refuses %d Hz at %d bit/s with error %#x", rate, bitRate, uint64(status))
	}
	index := slices.Index(aacRates[:], rate)
	e := &voAAC{resampler: resampler, encoder: encoder, config: appendASC(nil, aacLC, index, 1)}
	e.leak = runtime.AddCleanup(e, func(p *C.encoder) { C.encoder_close(p) }, encoder)
	return e, nil
}

var errAACClosed = errors.New("AAC encoder is closed")

func (e *voAAC) Encode(pcm []int16) ([][]byte, error) {
	if e.encoder == nil {
		return nil, errAACClosed
	}
	e.out.reset()
	e.pcm = e.resampler.Resample(e.pcm, pcm)
	rest := e.pcm
	for ; len(rest) >= aacFrame; rest = rest[aacFrame:] {
		n := C.encoder_encode(e.encoder, (*C.short)(&rest[0]))
		if n == 0 {
			return nil, fmt.Errorf("libvo-aacenc fails with error %#x", uint64(e.encoder.status))
		}
		e.out.data = append(e.out.data, unsafe.Slice((*byte)(&e.encoder.unit[0]), n)...)
		e.out.ends = append(e.out.ends, len(e.out.data))
	}
	e.pcm = e.pcm[:copy(e.pcm, rest)]
	return e.out.slices(), nil
}

func (e *voAAC) Config() []byte { return e.config }

func (e *voAAC) SampleRate() int { return e.resampler.SampleRate() }

func (e *voAAC) FrameSamples() int { return aacFrame }

func (e *voAAC) Delay() int { return voDelay + e.resampler.Delay() }

func (e *voAAC) Close() {
	if e.encoder != nil {
		e.leak.Stop()
		C.encoder_close(e.encoder)
		e.encoder = nil
	}
}
