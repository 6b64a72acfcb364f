//go:build e2e

package differential

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

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
