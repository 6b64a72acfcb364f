package watch

import "testing"

func TestHasMount(t *testing.T) {
	const mountinfo = `22 28 0:21 / /sys rw,nosuid - sysfs sysfs rw
610 605 259:1 /secret/keys.yaml /etc/flowlatch/keys.yaml ro,relatime - ext4 /dev/x rw
611 605 259:1 /a\040b /etc/a\040b/c\134d ro - ext4 /dev/x rw
short line
`
	for path, want := range map[string]bool{
		"/etc/flowlatch/keys.yaml": true,
		"/etc/flowlatch":           false,
		"/sys":                     true,
		`/etc/a b/c\d`:             true,
		`/etc/a\040b/c\134d`:       false,
		"/secret/keys.yaml":        false,
	} {
		if got := hasMount(mountinfo, path); got != want {
			t.Errorf("hasMount(%q) = %t, want %t", path, got, want)
		}
	}
}
