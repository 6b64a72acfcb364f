//go:build bench

package main

import (
	"context"
	"io"
)

func flowise(ctx context.Context, o *options, out io.Writer) error { return nil }
