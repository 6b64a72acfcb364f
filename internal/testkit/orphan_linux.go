package testkit

import (
	"os/exec"
	"syscall"
)

// endWithTests has the kernel kill the process if the test binary ends without cleanup, as after a timeout.
func endWithTests(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
