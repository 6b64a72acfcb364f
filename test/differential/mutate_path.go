//go:build e2e

package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// spot returns a place in the path: anywhere, at a slash, or at an end of the chatflow's ID.
func (m *message) spot(r *rand.Rand) int {
	if m.path == "" {
		return 0
	}
	if i := strings.Index(m.path, m.aim); i >= 0 && r.IntN(2) == 0 {
		return i + pick(r, 0, len(m.aim), r.IntN(len(m.aim)))
	}
	return r.IntN(len(m.path) + 1)
}

func (m *message) insert(at int, s string) {
	at = min(at, len(m.path))
	m.path = m.path[:at] + s + m.path[at:]
}

// replaceByte puts something in the place of one byte of the path.
func (m *message) replaceByte(r *rand.Rand, by func(c byte) string) {
	if m.path == "" {
		return
	}
	at := min(m.spot(r), len(m.path)-1)
	m.path = m.path[:at] + by(m.path[at]) + m.path[at+1:]
}

func hexOf(r *rand.Rand, c byte) string {
	return pick(r, fmt.Sprintf("%02x", c), fmt.Sprintf("%02X", c), fmt.Sprintf("%x%X", c>>4, c&15))
}

func percent(r *rand.Rand, m *message) {
	style := r.IntN(9)
	encode := func(c byte) string {
		switch style {
		case 0, 1, 2, 3:
			return "%" + hexOf(r, c)
		case 4, 5:
			return "%25" + hexOf(r, c)
		case 6:
			return "%2525" + hexOf(r, c)
		case 7: // overlong UTF-8
			return fmt.Sprintf("%%%02x%%%02x", 0xc0|c>>6, 0x80|c&0x3f)
		default:
			return pick(r, "%", "%u00"+hexOf(r, c), "%zz", "%2", fmt.Sprintf("%%e0%%80%%%02x", 0x80|c&0x3f))
		}
	}
	if r.IntN(6) == 0 && strings.Contains(m.path, m.aim) { // all of the ID
		var all strings.Builder
		for i := range len(m.aim) {
			all.WriteString(encode(m.aim[i]))
		}
		m.path = strings.Replace(m.path, m.aim, all.String(), 1)
		return
	}
	for range 1 + r.IntN(3) {
		m.replaceByte(r, encode)
	}
}

func entities(r *rand.Rand, m *message) {
	m.replaceByte(r, func(c byte) string {
		named := map[byte]string{'/': "&sol;", '-': "&dash;", '.': "&period;"}[c]
		if named == "" {
			named = fmt.Sprintf("&#%d;", c)
		}
		dec, hex := fmt.Sprintf("&#%d;", c), fmt.Sprintf("&#x%x;", c)
		return pick(r, named, dec, hex, strings.TrimSuffix(dec, ";"), strings.TrimSuffix(hex, ";"), "&amp;#"+dec[2:],
			"%26%23"+dec[2:], "%26"+dec[1:], "&#00000"+dec[2:], strings.ToUpper(hex), string(c)+"&nbsp;", string(c)+"&zwnj;", string(c)+"&#0;")
	})
}

func markup(r *rand.Rand, m *message) {
	s := pick(r, "<x>", "<!--z-->", "<script>x</script>", "<b>", "</b>", "<", ">", "<a>", "<style>x</style>", "<![CDATA[x]]>", "<?x?>", "<!x>",
		"<x/>", "<a href=x>", "<textarea>"+m.other+"</textarea>", "<!--", "<x y='/'>")
	if r.IntN(2) == 0 {
		s = strings.NewReplacer("<", "%3C", ">", "%3e", " ", "%20", "'", "%27").Replace(s)
	} else if strings.Contains(s, " ") {
		s = strings.ReplaceAll(s, " ", "%20")
	}
	m.insert(m.spot(r), s)
}

// slash returns the place of one of the path's slashes, or 0.
func (m *message) slash(r *rand.Rand) int {
	var at []int
	for i := range len(m.path) {
		if m.path[i] == '/' {
			at = append(at, i)
		}
	}
	if len(at) == 0 {
		return 0
	}
	return pick(r, at...)
}

func dots(r *rand.Rand, m *message) {
	if r.IntN(4) == 0 { // from a chatflow that is open to the one that is not
		m.path = strings.Replace(m.path, m.aim, m.aim+pick(r, "/../", "/%2e%2e/", "%2f..%2f", "/..%2f", "\\..\\", "/.%2e/")+m.other, 1)
		return
	}
	m.insert(m.slash(r), pick(r, "/.", "/..", "/x/..", "/%2e", "/%2E%2e", "/x/%2e%2e", "/..%2f", "/.;", "/..;", "/...", "/x/..%2f", "/%252e%252e", "/.%00.", "/ping/.."))
}

func slashes(r *rand.Rand, m *message) {
	switch at := m.slash(r); r.IntN(6) {
	case 0, 1:
		m.insert(at, pick(r, "/", "//", "///"))
	case 2:
		m.path += pick(r, "/", "//", "%2f", "%2F")
	case 3:
		m.path = strings.TrimPrefix(m.path, "/")
	default:
		if at < len(m.path) {
			m.path = m.path[:at] + pick(r, "%2f", "%2F", "%252f", "%c0%af", "%e2%88%95", "\u2215", "%ef%bc%8f") + m.path[at+1:]
		}
	}
}

func backslashes(r *rand.Rand, m *message) {
	at := m.slash(r)
	s := pick(r, `\`, "%5c", "%5C", `\/`, `/\`, "%255c")
	if at < len(m.path) {
		m.path = m.path[:at] + s + m.path[at+1:]
	}
}

func parameters(r *rand.Rand, m *message) {
	m.insert(pick(r, m.slash(r), len(m.path)), pick(r, ";", ";x=1", "%3b", ";/../", ";chatflowId="+m.other, ",", ";jsessionid=1", "%3Bx"))
}

func fragments(r *rand.Rand, m *message) {
	m.insert(pick(r, m.slash(r), len(m.path), m.spot(r)), pick(r, "#", "#x", "%23", "#/../", "#?", "?", "%3f", "%3F", "?#", "#"+m.other))
}

func oddBytes(r *rand.Rand, m *message) {
	at := pick(r, m.spot(r), len(m.path))
	if r.IntN(2) == 0 {
		s := pick(r, "%00", "%0a", "%0d%0a", "%09", "%20", "%0b", "%0c", "%7f", "%80", "%ff", "%c2%a0", "%e2%80%8b", "%ef%bb%bf", "%u002f", "+", "%0d%0aX:%20y", "%ad")
		m.insert(at, s)
		return
	}
	m.odd = true
	m.insert(at, pick(r, "\x00", "\t", "\x0b", "\x0c", "\x7f", "\x01", "\u00e9", "\u202e", "\ufeff", "\xff", "\xc0\xaf", " ", "\r", "\n", "\r\n", "\"", "|", "^", "`", "{}", "\u212a", "\u017f"))
}

func letterCase(r *rand.Rand, m *message) {
	switch r.IntN(4) {
	case 0:
		m.path = strings.ToUpper(m.path)
	case 1:
		m.path = strings.Replace(m.path, m.aim, strings.ToUpper(m.aim), 1)
	case 2:
		m.path = strings.Replace(m.path, "/api/v1", pick(r, "/API/V1", "/Api/v1", "/api/V1", "/aPI/v1"), 1)
	default:
		m.replaceByte(r, func(c byte) string { return strings.ToUpper(string(c)) })
	}
}

// odd forms of a chatflow's ID, some of which databases take for the same.
func oddID(r *rand.Rand, id, other string) string {
	return pick(r, "{"+id+"}", strings.ReplaceAll(id, "-", ""), "", "__proto__", "constructor", "toString", "urn:uuid:"+id, `"`+id+`"`, id+id, id+","+other,
		id+"/"+other, other+"/"+id, "*", "undefined", "null", "0", id[:35], id+"0", " "+id, id+" ", id+"%20", "%20"+id, "("+id+")", id+"%00", id+"\u200b",
		strings.ToUpper(id), id+"'--", "%7b"+id+"%7d", id+"_", strings.Replace(id, "-", "\u2010", 1), "[]", "true", other)
}

func ids(r *rand.Rand, m *message) {
	id := strings.TrimSpace(oddID(r, m.aim, m.other))
	m.path = strings.Replace(m.path, m.aim, id, 1)
	if i := m.idMember(); i >= 0 && r.IntN(2) == 0 {
		m.members[i].value = `"` + strings.ReplaceAll(oddID(r, m.aim, m.other), `"`, `\"`) + `"`
	}
	if r.IntN(2) == 0 {
		m.query = strings.Replace(m.query, m.aim, strings.TrimSpace(oddID(r, m.aim, m.other)), 1)
	}
}

func ends(r *rand.Rand, m *message) {
	if prefix := m.world.Prefix; prefix != "" && r.IntN(3) == 0 {
		rest := strings.TrimPrefix(m.path, prefix)
		m.path = pick(r, "", prefix+prefix, prefix+"x", strings.ToUpper(prefix), prefix+"/..", "/.."+prefix, "/api/v1"+prefix, prefix+"%2f", "/x"+prefix) + rest
		return
	}
	if r.IntN(3) == 0 {
		m.path = pick(r, "/x", "/api/v1", "//", "//127.0.0.1", "/.", "/api/v1/prediction/"+m.other, "/api/v1/ping", "/admin", " ", "/%00") + m.path
		return
	}
	m.path += pick(r, ".json", "/extra", "/", "/"+m.other, "%2f"+m.other, ".", "..", "~", "_", "-", ":", "@", "!", "$", "'", "(x)", "*", ",", "=", "&", "&x=1", "+", "/%20", "%3fx", "|", "^")
}

func targets(r *rand.Rand, m *message) {
	full := m.path + m.query
	m.target = pick(r, "http://127.0.0.1"+full, "http://evil.example"+full, "HTTP://EVIL.example"+full, "https://127.0.0.1"+full, "http:"+full, "http://"+full,
		"x:"+full, "x://h"+full, "http:http://h"+full, "http://u:p@h"+full, "*", "*"+full, "h:80", "h:80"+full, strings.TrimPrefix(full, "/"), "?"+full, "#"+full, "//h"+full,
		"http://127.0.0.1"+strings.Replace(m.path, m.aim, m.other, 1), "http://127.0.0.1/api/v1/prediction/"+m.other, "/"+full, "@"+full, "file://"+full, full+" "+full,
		"http://127.0.0.1?"+full, `http:\\127.0.0.1`+full, "ws://h"+full)
}
