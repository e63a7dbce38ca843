package main

import (
	"context"
	"net"
	"path"
	"sync"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/message"
)

// rtmpServer takes what is published and notes when each stream's first picture has come.
type rtmpServer struct {
	listener net.Listener
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mutex    sync.Mutex // guards expected
	expected map[string]chan time.Time
}

func newRTMPServer(ctx context.Context) (*rtmpServer, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &rtmpServer{listener: l, cancel: cancel, expected: map[string]chan time.Time{}}
	s.wg.Go(func() { serve(ctx, l, s.take) })
	return s, nil
}

func (s *rtmpServer) close() {
	s.cancel()
	s.wg.Wait()
}

// url is that of the application.
func (s *rtmpServer) url() string { return "rtmp://" + s.listener.Addr().String() + "/live" }

// expect returns where the time of a stream's first picture will come.
func (s *rtmpServer) expect(stream string) <-chan time.Time {
	arrival := make(chan time.Time, 1)
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.expected[stream] = arrival
	return arrival
}

// take is a connection. What is wrong with it shows in that no picture comes.
func (s *rtmpServer) take(conn net.Conn) {
	c := &gortmplib.ServerConn{RW: conn}
	if c.Initialize() != nil || c.Accept() != nil {
		return
	}
	stream := path.Base(c.URL.Path)
	for {
		m, err := c.Read()
		if err != nil {
			return
		}
		// A sequence header is a video message too, but not yet a picture.
		if v, ok := m.(*message.Video); ok && v.Type == message.VideoTypeAU {
			s.arrived(stream, time.Now())
		}
	}
}

func (s *rtmpServer) arrived(stream string, at time.Time) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	if arrival := s.expected[stream]; arrival != nil {
		arrival <- at
		delete(s.expected, stream)
	}
}
