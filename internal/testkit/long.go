package testkit

import "os"

// Long reports whether floods, storms and other tests that take long run at their full size: the environment has
// LONG_TESTS=1, as in CI. Without it they run at a size that takes a second or two.
func Long() bool { return os.Getenv("LONG_TESTS") == "1" } // not FLOWLATCH_…, which flowlatch refuses if it is no setting
