//go:build e2e

package differential

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode/utf16"
)

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
