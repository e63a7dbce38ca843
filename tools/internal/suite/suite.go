package suite

import (
	"context"
	"errors"
	"path/filepath"
)

// Suite is the three services on one machine: no Redis and no SRS unless Env says so.
type Suite struct {
	// Binaries is the folder that Build filled.
	Binaries string
	// Logs is the folder of the log files, one a service.
	Logs string
	// Addresses to listen on.
	Addresses Addresses
	// Env overrides settings: NAME=value of JT1078_*, PC_* and WEB_*.
	Env []string

	JT1078, PC, Web *Service
}

// SRSVariables are the settings that name the SRS servers.
var SRSVariables = [...]string{
	"WEB_SRS_LIVE_RTMP_URL", "WEB_SRS_LIVE_API_URL", "WEB_SRS_REPLAY_RTMP_URL", "WEB_SRS_REPLAY_API_URL",
}

// Initialize prepares the services; it starts nothing.
func (s *Suite) Initialize() {
	env := append(make([]string, 0, 32),
		"JT1078_PUBLIC_HOST=127.0.0.1",
		"PC_RELAY_ADDRESS="+s.Addresses.Relay,
		"WEB_RELAY_ADDRESS="+s.Addresses.Relay,
	)
	for _, variable := range SRSVariables {
		env = append(env, variable+"=") // no SRS: nothing is pushed, nothing is asked
	}
	for _, e := range s.Addresses.Endpoints() {
		env = append(env, e.Variable+"="+*e.Address)
	}
	env = append(env, s.Env...)
	service := func(name, admin string) *Service {
		return &Service{
			Name: name, Path: binary(s.Binaries, name), Env: env, Admin: admin, Log: filepath.Join(s.Logs, name+".log"),
		}
	}
	s.JT1078 = service(JT1078Server, s.Addresses.JT1078Admin)
	s.PC = service(PCServer, s.Addresses.PCAdmin)
	s.Web = service(WebServer, s.Addresses.WebAdmin)
}

// Services lists them in the order of their start.
func (s *Suite) Services() []*Service { return []*Service{s.JT1078, s.PC, s.Web} }

// Start runs all services at once and waits until each is ready. After an error nothing runs.
func (s *Suite) Start(ctx context.Context) error {
	for _, service := range s.Services() {
		if err := service.Launch(); err != nil {
			s.kill()
			return err
		}
	}
	for _, service := range s.Services() {
		if err := service.WaitReady(ctx); err != nil {
			s.kill()
			return err
		}
	}
	return nil
}

func (s *Suite) kill() {
	for _, service := range s.Services() {
		service.Kill()
	}
}

// Stop ends the services, the consumers first. The errors are of those that ended otherwise than with exit code 0.
func (s *Suite) Stop() error {
	return errors.Join(s.Web.Stop(), s.PC.Stop(), s.JT1078.Stop())
}
