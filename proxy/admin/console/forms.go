package console

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/flowlatch/flowlatch/proxy/admin/signin"
)

// asked is a form that was sent.
type asked struct {
	*http.Request
	session *signin.Session
}

// text returns a field without the blanks around it.
func (a asked) text(name string) string { return strings.TrimSpace(a.PostFormValue(name)) }

// lines returns the lines of a field that are not empty.
func (a asked) lines(name string) (lines []string) {
	for line := range strings.Lines(a.PostFormValue(name)) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// chatflows returns the chatflows that were picked or pasted.
func (a asked) chatflows() []string {
	_ = a.ParseForm() // as PostFormValue does
	return append(append([]string{}, a.PostForm["chatflow"]...), a.lines("pasted")...)
}

// makeChange makes the change that what returns, for a form. Unless there is a problem, it leaves a note for the next
// page.
func (c *Console) makeChange(a asked, what func(f *file) (change, *Problem), note func(ch change) *done) *Problem {
	version := a.PostFormValue("version")
	if version == "" { // must not mean any version
		return newProblem(malformed, "the form is incomplete; open the page anew")
	}
	f, p := c.read()
	if p != nil {
		return p
	}
	ch, p := what(f)
	if p != nil {
		return p
	}
	ch.version = version
	changed, p := c.apply(operator{session: a.session.Name, client: signin.Client(a.Request)}, f, ch)
	if p != nil {
		return p
	}
	n := note(ch)
	n.Text += fmt.Sprintf(", and applied (generation %d)", changed.Generation)
	a.session.Leave(n)
	return nil
}

// respond redirects to the next page. If there is a problem, it shows the page that the form is on, with the problem.
func (c *Console) respond(w http.ResponseWriter, a asked, next string, show shower, p *Problem) {
	if p == nil {
		http.Redirect(w, a.Request, next, http.StatusSeeOther)
		return
	}
	c.show(w, a.Request, a.session, show, p.Status, p)
}

func keyAddress(id string) string      { return "key?id=" + url.QueryEscape(id) }
func chatflowAddress(id string) string { return "chatflow?id=" + url.QueryEscape(id) }

// postKey changes a key.
func (c *Console) postKey(w http.ResponseWriter, r *http.Request, s *signin.Session) {
	a, id, next := asked{r, s}, r.PostFormValue("id"), keyAddress(r.PostFormValue("id"))
	closes := r.PostFormValue("close") == "true"
	var text string
	p := c.makeChange(a, func(f *file) (change, *Problem) {
		switch r.PostFormValue("action") {
		case "grant":
			text = "Key " + id + " opens more chatflows"
			return c.grantKey(f, id, &Grant{a.chatflows()})
		case "withdraw":
			text = "Key " + id + " opens fewer chatflows"
			return c.withdrawKey(f, id, &Withdrawal{a.chatflows(), closes})
		case "rotate":
			text = "Key " + id + " has a new secret"
			return c.rotateKey(f, id, &Rotation{r.PostFormValue("overlap")})
		case "disable":
			text = "Key " + id + " is disabled"
			return c.disableKey(f, id)
		case "enable":
			text = "Key " + id + " is enabled"
			return c.enableKey(f, id)
		case "delete":
			text, next = "Key "+id+" is deleted", "./"
			if !closes { // the box was not ticked
				return change{}, newProblem(malformed, "tick the box to delete the key")
			}
			return c.deleteKey(f, id, &Deletion{true})
		default:
			return change{}, newProblem(malformed, "the form is incomplete; open the page anew")
		}
	}, func(ch change) *done { return &done{Text: text, Secret: c.newSecret(r, ch)} })
	c.respond(w, a, next, (*Console).keyPage, p)
}

// postNewKey makes a key.
func (c *Console) postNewKey(w http.ResponseWriter, r *http.Request, s *signin.Session) {
	a := asked{r, s}
	n := NewKey{
		ID: a.text("id"), Owner: a.text("owner"), Chatflows: a.chatflows(),
		NotAfter: r.PostFormValue("not_after"), File: r.PostFormValue("file"),
	}
	p := c.makeChange(a, func(f *file) (_ change, p *Problem) {
		if n.Limits, p = a.limits(); p != nil {
			return change{}, p
		}
		return c.makeKey(f, "", &n)
	}, func(ch change) *done { return &done{Text: "Key " + n.ID + " is made", Secret: c.newSecret(r, ch)} })
	c.respond(w, a, keyAddress(n.ID), (*Console).newKeyPage, p)
}

// limits returns the limits of a form as a JSON object, or nil if there are none.
func (a asked) limits() (json.RawMessage, *Problem) {
	fields := map[string]any{}
	for _, name := range []string{"stream", "stream_seconds", "bytes"} {
		if v := a.text(name); v != "" {
			fields[name] = v
		}
	}
	var requests []string
	for v := range strings.SplitSeq(a.PostFormValue("requests"), ",") {
		if v = strings.TrimSpace(v); v != "" {
			requests = append(requests, v)
		}
	}
	if requests != nil {
		fields["requests"] = requests
	}
	if v := a.text("concurrent"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil {
			return nil, newProblem(malformed, fmt.Sprintf("requests at once: %.20q: want a number", v))
		}
		fields["concurrent"] = n
	}
	if len(fields) == 0 {
		return nil, nil
	}
	object, _ := json.Marshal(fields) // texts and numbers do not fail
	return object, nil
}

// postChatflow changes a chatflow.
func (c *Console) postChatflow(w http.ResponseWriter, r *http.Request, s *signin.Session) {
	a, id, next := asked{r, s}, r.PostFormValue("id"), chatflowAddress(r.PostFormValue("id"))
	closes := r.PostFormValue("close") == "true"
	var text string
	p := c.makeChange(a, func(f *file) (change, *Problem) {
		switch r.PostFormValue("action") {
		case "grant":
			key := a.text("key")
			text = "Key " + key + " opens this chatflow"
			return c.grantKey(f, key, &Grant{[]string{id}})
		case "public":
			text = "The chatflow is public: everyone may use it without a key"
			if r.PostFormValue("sure") != "yes" {
				return change{}, newProblem(malformed, "tick the box to make the chatflow public")
			}
			return c.makePublic(f, id)
		case "private":
			text = "The chatflow is private: only its keys open it"
			if closes {
				text, next = "The chatflow is closed, and not listed any more", "./"
			}
			return c.makePrivate(f, id, &PrivateChatflow{closes})
		default:
			return change{}, newProblem(malformed, "the form is incomplete; open the page anew")
		}
	}, func(change) *done { return &done{Text: text} })
	c.respond(w, a, next, (*Console).chatflowPage, p)
}

// postNewChatflow lists a chatflow.
func (c *Console) postNewChatflow(w http.ResponseWriter, r *http.Request, s *signin.Session) {
	a := asked{r, s}
	n := NewChatflow{
		ID: a.text("id"), Name: a.text("name"), Keys: a.lines("keys"),
		Public: r.PostFormValue("public") == "true", File: r.PostFormValue("file"),
	}
	next := "./"
	p := c.makeChange(a, func(f *file) (change, *Problem) { return c.addChatflow(f, "", &n) }, func(ch change) *done {
		next = chatflowAddress(ch.chatflows[0])
		return &done{Text: "The chatflow is listed"}
	})
	c.respond(w, a, next, (*Console).newChatflowPage, p)
}
