//go:build bench

package main

func (l *lab) draw(path string, turns int) error { return nil }
