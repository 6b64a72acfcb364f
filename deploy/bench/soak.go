//go:build bench

package main

import (
	"context"
	"io"
)

func soak(ctx context.Context, o *options, out io.Writer) error { return nil }
