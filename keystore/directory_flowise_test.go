package keystore

import (
	"os"
	"path/filepath"
	"testing"
)

// TestDirectoryWithFlowise: the keys of Flowise follow Flowise's file whatever is wrong with a key file, and the other
// way round.
func TestDirectoryWithFlowise(t *testing.T) {
	const web, other = `{"keyName":"Web","id":"1","apiKey":"a-secret-of-flowise-0000"}`, `{"keyName":"Other","id":"2","apiKey":"another-of-flowise-00000"}`
	names := part("a", "x a Web Other") + "flowise_api_keys: flowise\n"
	api := filepath.Join("flowise", "api.json")
	inDirectoryBubble(t, map[string]string{"a.yaml": part("a", "x a"), "b.yaml": part("b c", "y b c")}, Options{}, func(d *directory) {
		if err := os.Mkdir(filepath.Join(d.dir, "flowise"), 0o700); err != nil {
			d.Fatal(err)
		}
		d.put(api, "["+web+"]")
		d.rename("a.yaml", names)
		d.look(0)
		d.want("Flowise's file is named", "x:Weba y:bc")
		d.rename("b.yaml", "version: 2\n")
		d.rename(api, "["+web+","+other+"]")
		d.look(0)
		d.want("Flowise has another key, and a file is broken", "x:OtherWeba y:bc", "b.yaml")
		path := filepath.Join(d.dir, api)
		d.rename(api, "[")
		d.rename("b.yaml", part("b", "y b"))
		d.look(settleTime)
		d.want("Flowise's file is broken, and a key is revoked", "x:OtherWeba y:b", path)
		d.rename("b.yaml", part("b", "y b")+"flowise_api_keys: flowise\n")
		d.look(settleTime)
		d.want("two files name it", "x:OtherWeba y:b", "b.yaml", path)
		d.rename(api, "["+other+"]")
		d.look(0)
		d.want("Flowise's file is mended", "x:Othera y:b", "b.yaml")
		d.rename("a.yaml", part("a", "x a"))
		d.look(0)
		d.want("the other file may name it now", "x:a y:b Other")
		d.remove("a.yaml")
		d.look(2 * settleTime)
		d.want("the first is gone", "y:b Other")
	})
}
