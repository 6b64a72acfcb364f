package signin

import "time"

// Look does what the watch does when the file may have changed.
func (d *Door) Look() (retryIn time.Duration) { return d.reload() }
