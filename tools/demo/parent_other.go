//go:build !linux

package main

// endWithGoRun is for systems that can tell a process of its parent's end.
func endWithGoRun() {}
