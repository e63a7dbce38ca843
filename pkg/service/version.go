package service

import "runtime/debug"

// version is stamped in by the build: -ldflags "-X multi_process_server/pkg/service.version=…".
var version string

// Version is the stamped version, else the commit that Go recorded, else "dev".
func Version() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
				return setting.Value[:12]
			}
		}
	}
	return "dev"
}
