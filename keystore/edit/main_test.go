package edit_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/flowlatch/flowlatch/internal/testkit"
	"github.com/flowlatch/flowlatch/keystore"
	"github.com/flowlatch/flowlatch/keystore/edit"
)

// children are what the test binary does instead of running tests when a test starts it, for what needs a process of its
// own. Each is given the path of a key file and a word.
func children() map[string]func(path, word string) error {
	return map[string]func(path, word string) error{"add": addKeys, "full": editWithFullDisk, "read-only": editAsNobody, "die": editAndDie}
}

const childEnv = "FLOWLATCH_TEST_CHILD"

func TestMain(m *testing.M) {
	task, ok := os.LookupEnv(childEnv)
	if !ok {
		os.Exit(testkit.Main(m))
	}
	if err := children()[task](os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// child returns the command that does a task of children.
func child(t *testing.T, task, path, word string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), self, path, word)
	// The race detector sleeps a second at the end of each process unless told not to.
	c.Env = append(os.Environ(), childEnv+"="+task, "GORACE=atexit_sleep_ms=0")
	return c
}

// editsOfOne is how many keys each of the concurrent editors adds.
const editsOfOne = 8

// addKeys adds keys with IDs that begin with word to the file.
func addKeys(path, word string) error {
	for i := range editsOfOne {
		if _, err := edit.File(path, edit.Options{Wait: time.Minute}, addKey(fmt.Sprint(word, i))); err != nil {
			return err
		}
	}
	return nil
}

func addKey(id string) func(data []byte) ([]byte, error) {
	return func(data []byte) ([]byte, error) {
		return edit.AddKey("keys.yaml", data, edit.NewKey{ID: id, Digest: keystore.DigestOf(secret(id)), Chatflows: []string{"x"}})
	}
}

// keyIDs reads the file and returns the IDs of its keys.
func keyIDs(t *testing.T, path string) []string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, k := range mustParse(t, string(data)).Keys() {
		ids = append(ids, k.ID)
	}
	return ids
}

// entries returns the names in a directory.
func entries(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}
