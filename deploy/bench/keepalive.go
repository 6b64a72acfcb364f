//go:build bench

package main

import (
	"context"
	"io"
)

func keepalive(ctx context.Context, o *options, out io.Writer) error { return nil }
