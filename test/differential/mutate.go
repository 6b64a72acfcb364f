//go:build e2e

package differential

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf16"
)

// class is one kind of change. What it does is drawn from r alone.
type class struct {
	name   string
	change func(r *rand.Rand, m *message)
	apt    []string // the routes on which it may do something; nil for no preference
}

// Routes that read the chatflow from the body, from the query, and those that take any method.
var (
	inBody    = []string{"feedback", "leads", "text-to-speech", "text-to-speech-abort"}
	inQuery   = []string{"get-upload-file", "webhook"}
	anyMethod = []string{"webhook", "mcp", "get-upload-file"}
	inPath    = []string{"prediction", "chatflows-streaming", "chatflows-uploads", "abort", "attachments", "public-chatbotConfig", "vector-upsert", "mcp", "webhook"}
	all       = append(append([]string{"feedback-update", "get-upload-file", "ping", "node-icon"}, inPath...), inBody...)
)

// Classes returns the names of all kinds of change.
func Classes() []string {
	var names []string
	for _, c := range allClasses() {
		names = append(names, c.name)
	}
	return names
}

func (g Generator) classes() []class {
	return slices.DeleteFunc(allClasses(), func(c class) bool { return slices.Contains(g.Skip, c.name) })
}

func allClasses() []class {
	return []class{
		{"percent-encoding", percent, inPath},
		{"entities", entities, inPath},
		{"markup", markup, inPath},
		{"dot segments", dots, inPath},
		{"slashes", slashes, inPath},
		{"backslashes", backslashes, nil},
		{"parameters", parameters, inPath},
		{"fragments", fragments, nil},
		{"odd bytes", oddBytes, inPath},
		{"case", letterCase, inPath},
		{"chatflow IDs", ids, inPath},
		{"beginnings and ends", ends, nil},
		{"request targets", targets, nil},
		{"methods", methods, anyMethod},
		{"query of an ID", queryIDs, inQuery},
		{"query", queries, inQuery},
		{"members", bodyMembers, inBody},
		{"JSON text", jsonText, inBody},
		{"body encoding", bodyEncoding, inBody},
		{"content type", contentTypes, inBody},
		{"Authorization", authorization, inPath},
		{"managed headers", managedHeaders, all},
		{"connection headers", connectionHeaders, all},
		{"framing", framing, all},
		{"request lines", requestLines, nil},
		{"second request", secondRequests, all},
	}
}

func pick[T any](r *rand.Rand, from ...T) T { return from[r.IntN(len(from))] }

// Planted marks header values that must not pass the gate.
const Planted = "planted"

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

func methods(r *rand.Rand, m *message) {
	switch r.IntN(4) {
	case 0: // a preflight, which browsers send without a key
		m.method = "OPTIONS"
		m.members = nil
		m.dropLine("Content-Type")
		m.lines = append(m.lines, "Origin: https://"+pick(r, "page.example", "evil.example", "null"), "Access-Control-Request-Method: "+pick(r, "POST", "GET", "PUT", "DELETE", "post", "OPTIONS", ""))
		if r.IntN(2) == 0 {
			m.dropLine("Authorization")
		}
	case 1:
		m.method = pick(r, "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
	default:
		m.method = pick(r, "CONNECT", "TRACE", "OPTIONS", strings.ToLower(m.method), "FOO", "PRI", "HEAD", "PROPFIND", "M-SEARCH", "QUERY", "SOURCE", m.method+"X", strings.Repeat("A", 300),
			"", " "+m.method, m.method+"\t", "P\u00d6ST", "*", "GET,POST", "LINK", "PURGE", "SEARCH", "UNBIND", "Post")
		m.odd = m.odd || strings.ContainsAny(m.method, " \t") || m.method == "" || m.method == "CONNECT" || m.method == "PRI"
	}
	if m.method == "HEAD" {
		m.odd = true
	}
}

// queryIDs changes how a query names a chatflow, or has one name it where none should.
func queryIDs(r *rand.Rand, m *message) {
	name := "chatflowId"
	pairs := []string{
		name + "=" + m.other, name + "[]=" + m.other, name + "[0]=" + m.other, name + "[x]=" + m.other, "chatflowid=" + m.other, "ChatflowId=" + m.other,
		"chatflow%49d=" + m.other, "%63hatflowId=" + m.other, "chatflowId%5b%5d=" + m.other, "&amp;chatflowId=" + m.other, "chatflowId%00=" + m.other, "chatflowId+=" + m.other,
		"__proto__[chatflowId]=" + m.other, "constructor[prototype][chatflowId]=" + m.other, "x;chatflowId=" + m.other, "x%26chatflowId=" + m.other, "chatflowId", "chatflowId=",
		"chatflow.Id=" + m.other, "chatflow[Id]=" + m.other, "id=" + m.other, "chatflowId=<b>" + m.other, "%EF%BB%BFchatflowId=" + m.other,
		"chatflowId=" + strings.ToUpper(m.other), "chatflowId==" + m.other, "hasOwnProperty=" + m.other,
	}
	switch r.IntN(4) {
	case 0: // another value in its place
		m.query = strings.Replace(m.query, m.aim, pick(r, "%"+hexOf(r, m.aim[0])+m.aim[1:], "<x>"+m.aim, "%3Cx%3E"+m.aim, "&#"+fmt.Sprint(m.aim[0])+";"+m.aim[1:], m.aim+"%20",
			m.aim+"#"+m.other, m.aim+"%26chatflowId="+m.other, m.aim+"/../"+m.other, m.aim+"%2f..%2f"+m.other, "../"+m.other, "%2e%2e/"+m.other, m.aim+"+", m.aim+",", m.aim+"\u0000"), 1)
		m.odd = m.odd || strings.Contains(m.query, "\x00")
	case 1: // before it
		m.query = "?" + pick(r, pairs...) + pick(r, "&", "&&", ";", "?", "&amp;") + strings.TrimPrefix(m.query, "?")
	default:
		if m.query == "" {
			m.query = "?"
		}
		m.query += pick(r, "&", "&&", ";", "&amp;", "%26", "?") + pick(r, pairs...)
	}
}

func queries(r *rand.Rand, m *message) {
	if m.query == "" {
		m.query = "?"
	}
	switch r.IntN(3) {
	case 0:
		m.query = strings.Replace(m.query, "chatId=chat-1", "chatId="+pick(r, "../"+m.other, "%2e%2e%2f"+m.other, "..%2f"+m.other+"%2fchat-1", "..", ".", "", "<x>../"+m.other, "..<b>/"+m.other,
			"x/../../"+m.other, "%2fetc", `..\`+m.other, "a&chatId=../"+m.other, "%252e%252e%252f"+m.other, "&period;&period;&sol;"+m.other, "%26period;%26period;%26sol;"+m.other, ".&%2346;/"+m.other), 1)
		m.query = strings.Replace(m.query, "fileName=a.txt", "fileName="+pick(r, "a.txt", "a.txt", "..%2fa.txt", "a.txt%00", "", "../"+m.other+"/a.txt", "%3Cx%3Ea", "a&download=true"), 1)
	default:
		m.query += "&" + pick(r, "x=1", "q=%", "q=%ff", "#x", "q=#", "x=%00", "_method=DELETE", "x[y]=1", "__proto__[x]=1", "x=<b>", "%26", "=", "&", "x=a b", "x=\u00e9", "x="+strings.Repeat("a", 2000),
			"apikey="+m.world.Secrets[keyA], "authorization=Bearer%20"+m.world.Secrets[keyB], "x=1;y=2", "x=%u0041", "x=%0d%0aX-Request-From:%20internal", "/api/v1/ping", "x=/../../api/v1/chatflows", "question="+m.nonce)
	}
	m.odd = m.odd || strings.Contains(m.query, " ")
}

// unicodeEscape returns a JSON string with one of its characters as an escape.
func unicodeEscape(r *rand.Rand, s string) string {
	i := r.IntN(len(s))
	return `"` + s[:i] + fmt.Sprintf(`\u%04x`, s[i]) + s[i+1:] + `"`
}

func bodyMembers(r *rand.Rand, m *message) {
	if m.members == nil {
		m.members = []member{{`"question"`, `"` + m.nonce + `"`}}
		m.setType(jsonType)
	}
	i := m.idMember()
	name := "chatflowid"
	if i >= 0 {
		name = strings.Trim(m.members[i].name, `"`)
	}
	q := func(s string) string { return `"` + s + `"` }
	extra := pick(r,
		member{q(name), q(m.other)}, member{q(name), q(m.aim)}, member{q("chatflowid"), q(m.other)}, member{q("chatflowId"), q(m.other)}, member{q("chatflowID"), q(m.other)},
		member{q("ChatflowId"), q(m.other)}, member{q("chatflow_id"), q(m.other)}, member{unicodeEscape(r, name), q(m.other)}, member{q("__proto__"), `{"` + name + `":"` + m.other + `"}`},
		member{q("__proto__"), `{"id":"row-` + m.nonce + `"}`}, member{`"__pr\u006fto__"`, `{"` + name + `":"` + m.other + `","id":"row-` + m.nonce + `"}`}, member{q("constructor"), `{"prototype":{"` + name + `":"` + m.other + `"}}`},
		member{q(name + `\u0000`), q(m.other)}, member{q(name + " "), q(m.other)}, member{q("\ufeff" + name), q(m.other)}, member{q("id"), q("row-" + m.nonce)}, member{q("ID"), q("x")}, member{`"\u0069d"`, q("row-" + m.nonce)},
		member{q("body"), `{"` + name + `":"` + m.other + `"}`}, member{q("chat\u017flowid"), q(m.other)}, member{q("\u212aey"), "1"}, member{q(name + `\ud800`), q(m.other)}, member{q("toJSON"), "null"},
		member{q("question"), q(m.nonce)}, member{q("streaming"), "false"}, member{q("overrideConfig"), `{"sessionId":"` + m.other + `"}`}, member{q("chatId"), q("c")},
	)
	switch r.IntN(4) {
	case 0:
		if i >= 0 {
			m.members[i].value = pick(r, "["+q(m.aim)+"]", "["+q(m.aim)+","+q(m.other)+"]", `{"id":"`+m.aim+`"}`, "null", `""`, "1", "true", unicodeEscape(r, m.aim), q(strings.ToUpper(m.aim)),
				q(m.other), q(m.aim+`\u0000`), q(m.aim+`\ud800`), q(m.aim+" "), q("<x>"+m.aim), "{}", "[]", q(m.aim[:8]), `"`+m.aim, "'"+m.aim+"'")
		}
	case 1:
		if i >= 0 {
			m.members[i].name = pick(r, unicodeEscape(r, name), unicodeEscape(r, name), q("chatflowId"), q("chatflowid"), q("CHATFLOWID"), q(name+"[]"), "'"+name+"'", name)
		}
	case 2:
		m.members = append([]member{extra}, m.members...)
	default:
		m.members = append(m.members, extra)
	}
}

func jsonText(r *rand.Rand, m *message) {
	if m.members == nil {
		m.members = []member{{`"question"`, `"` + m.nonce + `"`}}
		m.setType(jsonType)
	}
	other := `{"chatflowid":"` + m.other + `","chatflowId":"` + m.other + `","question":"` + m.nonce + `"}`
	switch r.IntN(3) {
	case 0:
		m.before = pick(r, "\ufeff", "\xff\xfe", " ", "\n\t", "\v", "\u00a0", "//x\n", "[", other, "x", ")]}',\n", "\x00", "\u2028", "[0,")
	case 1:
		m.after = pick(r, ",", "]", other, "\n"+other, "//x", "\x00", " ", "}", "\x00"+other, "\ufeff", "]", "\r\n\r\n"+other)
	default:
		m.members = append(m.members, pick(r, member{`"x"`, "NaN"}, member{`"x"`, "1e999"}, member{`"x"`, strings.Repeat("[", 200) + strings.Repeat("]", 200)}, member{`"x"`, `"` + strings.Repeat("y", 70<<10) + `"`},
			member{`"x"`, "\"\xff\""}, member{`"x"`, "\"\n\""}, member{`"x"`, "01"}, member{`"x"`, "+1"}, member{`"x"`, "undefined"}, member{"/*c*/\"x\"", "1"}, member{"x", "1"}, member{`""`, "1"}, member{`"\u"`, "1"},
			member{`"x"`, `"\x41"`}, member{`"x"`, "\"\xed\xa0\x80\""}, member{`"x"`, "\"\u2028\""}))
	}
}

func compressed(b []byte) []byte {
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

func deflated(b []byte) []byte {
	var buf bytes.Buffer
	w := zlib.NewWriter(&buf)
	_, _ = w.Write(b)
	_ = w.Close()
	return buf.Bytes()
}

func bodyEncoding(r *rand.Rand, m *message) {
	if m.members == nil {
		return
	}
	switch r.IntN(6) {
	case 0:
		m.encode = compressed
		m.lines = append(m.lines, "Content-Encoding: "+pick(r, "gzip", "GZIP", "x-gzip", "identity, gzip", "gzip, identity", "gzip,gzip", ""))
	case 1:
		m.encode = deflated
		m.lines = append(m.lines, "Content-Encoding: "+pick(r, "deflate", "Deflate", "zlib"))
	case 2:
		m.encode = compressed
		m.lines = append(m.lines, pick(r, "Content_Encoding: gzip", "Content-Encoding: identity\r\nContent-Encoding: gzip", "Content-Encoding: gzip\r\nContent-Encoding: identity", "Content-Encoding:\tgzip", "Transfer-Encoding: gzip"))
		m.odd = true
	case 3:
		m.lines = append(m.lines, "Content-Encoding: "+pick(r, "gzip", "br", "identity", "Identity", "zstd", "compress", "x", "identity;q=1"))
	case 4:
		m.setType("Content-Type: application/x-www-form-urlencoded" + pick(r, "", "; charset=utf-8", "; charset=iso-8859-1"))
		id, more := pick(r, m.aim, m.other), pick(r, "", "&chatflowid[]=x", "&chatflowId[x]=y")
		m.encode = func([]byte) []byte {
			return []byte("chatflowid=" + id + "&chatflowId=" + id + "&question=" + m.nonce + more + "&text=x")
		}
	default:
		order := pick(r, 0, 1)
		bom := pick(r, "", "\xff\xfe", "\xfe\xff")
		charset := pick(r, "utf-16", "utf-16le", "utf-16be", "UTF-16LE", "ucs-2", "utf-32", "unicode-1-1-utf-8", "utf-16le; charset=utf-8")
		m.setType("Content-Type: application/json; charset=" + charset)
		m.encode = func(b []byte) []byte {
			out := []byte(bom)
			for _, u := range utf16.Encode([]rune(string(b))) {
				if order == 0 {
					out = append(out, byte(u), byte(u>>8))
				} else {
					out = append(out, byte(u>>8), byte(u))
				}
			}
			return out
		}
	}
}

// utf7 hides text from those who read it as ASCII (RFC 2152).
func utf7(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(s)) {
		b = append(b, byte(u>>8), byte(u))
	}
	return "+" + base64.RawStdEncoding.EncodeToString(b) + "-"
}

func contentTypes(r *rand.Rand, m *message) {
	if m.members == nil {
		return
	}
	if r.IntN(2) == 0 { // a member that only one who decodes UTF-7 sees, and a type that says UTF-7 to some
		name := "chatflowid"
		if i := m.idMember(); i >= 0 {
			name = strings.Trim(m.members[i].name, `"`)
		}
		m.members = append(m.members, member{`"x"`, `"` + utf7(`","`+name+`":"`+m.other) + `"`})
		m.setType("Content-Type: application/json" + pick(r, "; charset=utf-7", "; charset=utf-7; charset*=utf-8''utf-8", "; charset*=utf-8''utf-8; charset=utf-7", "; charset=utf-7; charset*0=utf-8",
			"; charset=utf-8; charset=utf-7", "; charset=utf-7; charset=utf-8", `; charset="utf-7"`, `; charset="ut\f-7"`, "; charset*=utf-8''utf-7", "; charset*0=utf; charset*1=-7", "; CHARSET=utf-7; charset*0*=utf-8''utf-8",
			";charset=utf-8,application/json;charset=utf-7", "; charset=unicode-1-1-utf-7", "; charset=utf7", "; x=\"; charset=utf-7", "; charset=utf-7;", "; charset=utf-7; x", ", application/json; charset=utf-7",
			"; charset = utf-7", "\t;\tcharset=utf-7", "; charset=utf-7-imap"))
		return
	}
	line := pick(r, "Content-Type: text/plain", "Content-Type: application/json, text/plain", "Content-Type: application/JSON", "Content-Type: application/json;", "Content-Type: application/vnd.api+json",
		"Content-Type: application/json\r\nContent-Type: text/plain", "Content-Type: text/plain\r\nContent-Type: application/json", "Content-Type:", "Content-Type: application/json; charset=utf-8",
		"Content-Type: application/json; charset=UTF-8", "Content-Type: application/json; charset=\"utf-8\"", "Content-Type: application/json; charset=iso-8859-1", "Content-Type: application/json; charset=", "Content_Type: application/json",
		"Content-Type: application/json; boundary=x", "Content-Type: application/x-www-form-urlencoded", "Content-Type: */*", "Content-Type: json", "Content-Type: application/json ; charset=utf-8", "Content-Type: application\\json",
		"Content-Type: application/json; charset=us-ascii", "Content-Type:application/json;charset=utf-8;;", "X-Content-Type: application/json", "Content-Type: application/json; q=\"")
	m.setType(line)
}

func authorization(r *rand.Rand, m *message) {
	a, b, ops := m.world.Secrets[keyA], m.world.Secrets[keyB], m.world.Secrets[keyOps]
	m.dropLine("Authorization")
	m.lines = append(m.lines, pick(r,
		"Authorization: Bearer "+a+"\r\nAuthorization: Bearer "+b, "Authorization: Bearer "+b+"\r\nAuthorization: Bearer "+a, "authorization: bearer "+a, "AUTHORIZATION: BEARER "+a,
		"Authorization: Bearer  "+a, "Authorization: Bearer\t"+a, "Authorization: Basic "+a, "Authorization: "+a, "Authorization: Bearer "+a+", Bearer "+b, "Authorization: Bearer "+a+" ",
		"Authorization: Bearer "+a+" "+b, "Authorization: Bearer", "Authorization:", "Authorization: Bearer "+strings.ToUpper(a), "Authorization: Bearer "+a+"x", "Authorization: Bearer "+strings.Repeat("x", 5000),
		"Authorization: Bearer "+a+"\u00e9", "X-Authorization: Bearer "+ops, "Proxy-Authorization: Bearer "+ops, "Authorization_: Bearer "+ops, "X-Api-Key: "+ops, "Cookie: token="+ops, "Authorization: Bearer "+a+"\x00",
		"Authorization: Negotiate x Bearer "+ops, "Authorization: xBearer "+ops, "Authorization: Bearer="+ops, "Authorization: Bearer "+m.world.Secrets[keyExpired], "Authorization: \"Bearer "+a+"\"", "Authorization: Bearer "+ops,
	))
	m.odd = m.odd || strings.Contains(m.lines[len(m.lines)-1], "\x00")
}

// managedHeaders adds headers that only the gate may set, or nobody, also by names that some take for the same.
func managedHeaders(r *rand.Rand, m *message) {
	for range 1 + r.IntN(4) {
		managedHeader(r, m)
	}
}

func managedHeader(r *rand.Rand, m *message) {
	line := pick(r, "X-Request-From: internal", "X-Forwarded-For: 6.6.6.6", "X-Forwarded-Host: "+Planted, "X-Forwarded-Proto: "+Planted, "X-Forwarded-Prefix: /"+Planted, "X-Forwarded-Port: 1", "X-Forwarded-User: "+Planted, "Forwarded: for="+Planted,
		"X-Real-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "True-Client-IP: 6.6.6.6", "Cookie: connect.sid="+Planted, "X-Original-URL: /api/v1/prediction/"+m.other, "X-Rewrite-URL: /api/v1/prediction/"+m.other, "X-HTTP-Method-Override: DELETE",
		"X-Method-Override: PUT", "X-HTTP-Method: PUT", "Flowise-Tool: true", "X-Flowise-Evaluation: 1", "X-Request-Id: "+Planted+"-12345678", "Proxy-Authorization: Basic "+Planted, "Via: 1.1 "+Planted)
	name, value, _ := strings.Cut(line, ":")
	switch r.IntN(6) {
	case 0:
		name = strings.ReplaceAll(name, "-", "_")
	case 1:
		name = strings.ReplaceAll(name, "-", pick(r, ".", "~", "!", "$", "*", "^", "|", "'", "+", "%", "&", "#", "`"))
	case 2:
		name = strings.ToUpper(name)
	case 3:
		name = strings.ToLower(name)
	case 4:
		if i := strings.IndexByte(name, '-'); i >= 0 {
			name = name[:i] + "_" + name[i+1:]
		}
	}
	m.lines = append(m.lines, name+":"+value)
	if r.IntN(5) == 0 {
		m.lines = append(m.lines, line)
	}
}

func connectionHeaders(r *rand.Rand, m *message) {
	m.lines = append(m.lines, pick(r, "Connection: close, Authorization", "Connection: Authorization, X-Forwarded-For, X-Request-Id", "Connection: X-Request-From\r\nX-Request-From: internal", "Connection: Content-Length", "Connection: Host, Content-Type",
		"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA", "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", "Upgrade: h2c", "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13",
		"Connection: Upgrade\r\nUpgrade: websocket, h2c", "Connection: upgrade\r\nUpgrade: TLS/1.0", "Te: trailers", "TE: trailers, deflate", "Trailer: X-Request-From", "Expect: 100-continue", "Expect: x", "Keep-Alive: timeout=500", "Proxy-Connection: keep-alive",
		"Connection: close", "Connection: keep-alive", "HTTP2-Settings: AAMAAABk", "Host: evil.example", "Connection: "+strings.Repeat("x,", 20)+"Transfer-Encoding"))
	m.odd = true
}

func (m *message) chunks(r *rand.Rand, b []byte) []byte {
	half := len(b) / 2
	size := pick(r, "%x", "%X", "0%x", "%x;ext=1", "%x ", "%x;"+strings.Repeat("e", 50))
	trailer := pick(r, "", "", "", "X-Request-From: internal\r\n", "Authorization: Bearer "+m.world.Secrets[keyOps]+"\r\n", "X-Forwarded-For: "+Planted+"\r\n", "X: y\r\n")
	return fmt.Appendf(nil, size+"\r\n%s\r\n"+size+"\r\n%s\r\n0\r\n"+trailer+"\r\n", half, b[:half], len(b)-half, b[half:])
}

func framing(r *rand.Rand, m *message) {
	m.odd = true
	n := len(m.wire()) - bytes.Index(m.wire(), []byte("\r\n\r\n")) - 4
	length := fmt.Sprintf("Content-Length: %d\r\n", n)
	m.framed = true
	switch r.IntN(8) {
	case 0, 1: // chunked, properly or nearly
		m.framing = pick(r, "Transfer-Encoding: chunked", "Transfer-Encoding: chunked", "transfer-encoding: CHUNKED", "Transfer-Encoding: chunked\r\nTrailer: X-Request-From", "Transfer-Encoding:\tchunked", "Transfer-Encoding: chunked ",
			"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "Transfer-Encoding: identity, chunked", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, identity", "Transfer-Encoding: xchunked", "Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
			"Transfer-Encoding : chunked", "Transfer_Encoding: chunked", "Transfer-Encoding: \x0bchunked", "X: y\r\n Transfer-Encoding: chunked", "Transfer-Encoding: \"chunked\"") + "\r\n"
		m.frame = func(b []byte) []byte { return m.chunks(r, b) }
	case 2: // both
		m.framing = pick(r, length+"Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked\r\n"+length, "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", length+"Transfer-Encoding: identity\r\n", length+"Transfer_Encoding: chunked\r\n",
			length+"Transfer-Encoding:\r\n", length+"Transfer-Encoding: chunked, x\r\n", length+"Transfer-Encoding\t: chunked\r\n", length+"X: y\nTransfer-Encoding: chunked\r\n")
		if r.IntN(2) == 0 {
			m.frame = func(b []byte) []byte { return m.chunks(r, b) }
		}
		if r.IntN(2) == 0 {
			m.tail = m.second(m.token)
		}
	case 3: // a length that is none, or two
		m.framing = pick(r, length+length, length+"Content-Length: 0\r\n", "Content-Length: 0\r\n"+length, fmt.Sprintf("Content-Length: %d, %d\r\n", n, n), fmt.Sprintf("Content-Length: %d, 0\r\n", n), fmt.Sprintf("Content-Length: +%d\r\n", n),
			fmt.Sprintf("Content-Length: 0x%x\r\n", n), "Content-Length: -1\r\n", fmt.Sprintf("Content-Length: 0%d\r\n", n), fmt.Sprintf("Content-Length: %d.0\r\n", n), "Content-Length:\r\n", fmt.Sprintf("Content-Length : %d\r\n", n),
			fmt.Sprintf("Content-Length: %d \r\n", n), fmt.Sprintf("Content_Length: %d\r\n", n), "Content-Length: 18446744073709551616\r\n", fmt.Sprintf("Content-Length:\r\n %d\r\n", n), fmt.Sprintf("Content-Length: %d\x00\r\n", n), "")
	case 4: // a length that does not fit
		m.framing = fmt.Sprintf("Content-Length: %d\r\n", max(0, n+pick(r, -1, 1, 5, -n, -n/2, 100)))
	case 5: // chunks that are none
		m.framing = "Transfer-Encoding: chunked\r\n"
		bad := pick(r, "0x%x\r\n%s\r\n0\r\n\r\n", "-%x\r\n%s\r\n0\r\n\r\n", "%x\n%s\n0\n\n", "%x\r%s\r0\r\r", "%x\r\n%sXX0\r\n\r\n", "%x;\n\r\n%s\r\n0\r\n\r\n", "f%x\r\n%s\r\n0\r\n\r\n", "%x\r\n%s\r\n0\r\nX: y", "00000000000000000%x\r\n%s\r\n0\r\n\r\n", " %x\r\n%s\r\n0\r\n\r\n", "%x\r\n%s\r\n0\n\r\n", "%x;a=\"\r\n%s\r\n0\r\n\r\n")
		m.frame = func(b []byte) []byte { return fmt.Appendf(nil, bad, len(b), b) }
	case 6: // line ends and folds
		m.framed = false
		m.reline = func(head string) string {
			switch r.IntN(6) {
			case 0:
				return strings.ReplaceAll(head, "\r\n", "\n")
			case 1:
				return strings.Replace(head, "\r\n", "\n", 1+r.IntN(3))
			case 2:
				return strings.Replace(head, "X-Nonce: ", "X-Fold: a\r\n b\r\nX-Nonce: ", 1)
			case 3:
				return strings.Replace(head, "X-Nonce: ", "X-Nonce:\r\n ", 1)
			case 4:
				return strings.Replace(head, "\r\n", "\r", 1)
			default:
				return strings.Replace(head, "\r\nX-Nonce", "\r\n\tAuthorization: Bearer "+m.world.Secrets[keyOps]+"\r\nX-Nonce", 1)
			}
		}
	default: // lines that are no headers
		m.framed = false
		m.lines = append(m.lines, pick(r, "no colon", ": no name", "Sp ace: x", "X-Nul: \x00", "X-Cr: a\rb", "Authorization : Bearer "+m.world.Secrets[keyOps], "\tX: y", "X\u00e9: y", "X-Long: "+strings.Repeat("x", 20<<10), "(x): y", "X-Del: \x7f", "Host: a\r\nHost: b", "Host: a/b", "Host:", "Host: a@b", "X-Lf: a\nX-Request-From: internal"))
	}
}

func requestLines(r *rand.Rand, m *message) {
	m.odd = true
	m.proto = pick(r, "HTTP/1.0", "HTTP/1.1 ", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1\t", "", "HTTP/01.1", "HTTP/1.1\x00", "FTP/1.1", "HTTP/1.1 HTTP/1.1", "HTTP/11", " HTTP/1.1", "\tHTTP/1.1", "HTTP/1.1\r", "HTTP/3")
}

// secondRequests puts another request where a careless reader might find one.
func secondRequests(r *rand.Rand, m *message) {
	m.odd = true
	token := pick(r, m.token, "", m.world.Secrets[keyA])
	second := m.second(token)
	switch r.IntN(4) {
	case 0: // after the first, as a client may do
		m.tail = second
	case 1: // in the body, all of it
		m.members = []member{}
		m.setType(pick(r, jsonType, "Content-Type: text/plain", "Content-Type: application/x-www-form-urlencoded"))
		m.encode = func([]byte) []byte { return []byte(second) }
	case 2: // behind the end of the chunks, with a length that covers it
		body := "0\r\n\r\n" + second
		m.members = []member{}
		m.encode = func([]byte) []byte { return []byte(body) }
		m.framed = true
		m.framing = fmt.Sprintf("Content-Length: %d\r\n", len(body)) + pick(r, "", "Transfer-Encoding: chunked\r\n", "Transfer-Encoding: chunked, identity\r\n", "Transfer_Encoding: chunked\r\n", "Transfer-Encoding: xchunked\r\n", "Transfer-Encoding:\x0bchunked\r\n", "Transfer-Encoding\r\n : chunked\r\n")
	default: // on a method that has no body
		m.method = pick(r, "GET", "HEAD", "OPTIONS", "DELETE", "TRACE")
		m.members = []member{}
		m.encode = func([]byte) []byte { return []byte(second) }
	}
}
