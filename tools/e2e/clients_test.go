package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"multi_process_server/tools/internal/simvehicle"
	"multi_process_server/tools/vehicle/clip"
)

// answer is what an HTTP request got.
type answer struct {
	what   string
	status int
	body   string
}

// expect compares the status, and looks for text in the body; a body of "0" or "1" has to be just that.
func (a answer) expect(t *testing.T, status int, text string) {
	t.Helper()
	matches := strings.Contains(a.body, text)
	if len(text) == 1 {
		matches = strings.TrimSpace(a.body) == text
	}
	if a.status != status || !matches {
		t.Errorf("%s: %d %q, want %d and %q", a.what, a.status, a.body, status, text)
	}
}

func get(t *testing.T, url string) answer {
	t.Helper()
	return do(t, http.MethodGet, url, "")
}

func post(t *testing.T, url, body string) answer {
	t.Helper()
	return do(t, http.MethodPost, url, body)
}

func do(t *testing.T, method, url, body string) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(limited(t, patience), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	return answer{what: fmt.Sprintf("%s %s %.80s", method, url, body), status: response.StatusCode, body: string(text)}
}

// hook is an SRS callback as it is made by hand.
func (p *platform) hook(t *testing.T, action, client, id string) answer {
	t.Helper()
	body, err := json.Marshal(map[string]string{"action": action, "client_id": client, "stream": id})
	if err != nil {
		t.Fatal(err)
	}
	return post(t, p.web("/api/v1/sessions"), string(body))
}

// describe sends DESCRIBE and returns the answer's first line.
func describe(t *testing.T, address, url string) string {
	t.Helper()
	conn := dial(t, address)
	defer conn.Close()
	fmt.Fprintf(conn, "DESCRIBE %s RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n", url)
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		t.Fatalf("DESCRIBE %s: %v", url, err)
	}
	return strings.TrimSpace(line)
}

// dial connects with a small receive buffer, so that one who does not read is noticed soon.
func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) {
			err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096)
		})
		if controlErr != nil {
			return controlErr
		}
		return err
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// watchShortly plays by HTTP-FLV until the first pictures have come.
func watchShortly(t *testing.T, url string) {
	t.Helper()
	request, err := http.NewRequestWithContext(limited(t, patience), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.CopyN(io.Discard, response.Body, 50_000); err != nil {
		t.Fatal(err)
	}
}

// stallFLV asks for a stream and reads no more than the answer's first bytes.
func stallFLV(t *testing.T, address, path string) {
	t.Helper()
	conn := dial(t, address)
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address)
	if _, err := io.ReadFull(conn, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
}

// stallRTSP plays a stream by TCP and reads nothing of it.
func stallRTSP(t *testing.T, address, url string) {
	t.Helper()
	conn := dial(t, address)
	reader := bufio.NewReaderSize(conn, 512)
	session := ""
	for i, request := range []string{
		"DESCRIBE " + url + " RTSP/1.0\r\nAccept: application/sdp\r\n",
		"SETUP " + url + "/trackID=0 RTSP/1.0\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
		"PLAY " + url + " RTSP/1.0\r\n",
	} {
		fmt.Fprintf(conn, "%sCSeq: %d\r\n%s\r\n", request, i+1, session)
		if got := readRTSP(t, reader); got != "" {
			session = "Session: " + got + "\r\n"
		}
	}
}

// readRTSP reads an answer and returns its session.
func readRTSP(t *testing.T, r *bufio.Reader) (session string) {
	t.Helper()
	length := 0
	for n := 0; ; n++ {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		line = strings.TrimSpace(line)
		if n == 0 && !strings.HasPrefix(line, "RTSP/1.0 200") {
			t.Fatalf("the server says %q", line)
		}
		if line == "" {
			break
		}
		name, value, _ := strings.Cut(line, ": ")
		switch strings.ToLower(name) {
		case "session":
			session, _, _ = strings.Cut(value, ";")
		case "content-length":
			fmt.Sscan(value, &length)
		}
	}
	if _, err := io.CopyN(io.Discard, r, int64(length)); err != nil {
		t.Fatal(err)
	}
	return session
}

// fastClip is the built-in clip at eight times its speed, and without sound: 8 Mbit/s.
func fastClip() simvehicle.ContentOptions {
	return simvehicle.ContentOptions{Video: clip.Camera(1), FPS: 8 * clip.FPS}
}

// frameSizes decodes a stream for some seconds and returns the sizes of its pictures in the order of their coming.
func frameSizes(t *testing.T, url string, seconds int) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, need(t, "ffprobe", "ffmpeg"), "-v", "error", "-select_streams", "v",
		"-show_entries", "frame=width,height", "-of", "csv=p=0:s=x", "-read_intervals", fmt.Sprintf("%%+%d", seconds), url).Output()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Compact(strings.Fields(string(out)))
}
