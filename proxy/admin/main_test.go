package admin_test

import (
	"os"
	"testing"

	"github.com/flowlatch/flowlatch/internal/testkit"
)

func TestMain(m *testing.M) { os.Exit(testkit.Main(m)) }
