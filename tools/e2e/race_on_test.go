//go:build race

package e2e

// raceDetector: the services are built as this test was.
const raceDetector = true
