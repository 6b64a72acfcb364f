package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/flowlatch/flowlatch/proxy/admin/signin"
	"github.com/flowlatch/flowlatch/proxy/problem"
)

// signInPage is what the form to sign in shows.
type signInPage struct {
	To       string // where to go after signing in, below /console/
	Possible bool   // whether signing in is possible here; otherwise the page says where it is
	Lost     bool   // a form was sent, and its session had ended
}

// askToSignIn shows the form to sign in.
func (c *Console) askToSignIn(w http.ResponseWriter, r *http.Request, p *Problem) {
	status, to := http.StatusForbidden, r.PostFormValue("to")
	if r.Method != http.MethodPost {
		status, to = http.StatusOK, r.URL.RequestURI()[len("/console/"):]
	}
	lost := r.Method == http.MethodPost && r.URL.Path != "/console/sign-in"
	if p != nil && p.retryAfter > 0 {
		status = p.Status
		w.Header().Set("Retry-After", strconv.FormatInt(problem.Seconds(p.retryAfter), 10))
	}
	c.render(w, status, "sign-in.html", view{Title: "Sign in", Problem: p, Content: signInPage{To: to, Possible: signin.CanSignIn(r), Lost: lost}})
}

func (c *Console) postSignIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	if c.door == nil || !signin.CanSignIn(r) {
		c.askToSignIn(w, r, newProblem(readOnly, "nobody can sign in here"))
		return
	}
	if _, refusal := c.door.SignIn(w, r, r.PostFormValue("token")); refusal != nil {
		p := refusalProblem(refusal)
		if refusal.RetryAfter == 0 {
			p.Title, p.Detail = "That is not the admin token", "Paste what is in the file of --admin-token."
		}
		c.askToSignIn(w, r, p)
		return
	}
	http.Redirect(w, r, pageAddress(r.PostFormValue("to")), http.StatusSeeOther)
}

// pageAddress returns to if it is the address of a page below /console/, and otherwise the address of the first page:
// whoever made the link to the form must not choose where it leads.
func pageAddress(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Path == "" || shownPages[u.Path] == nil {
		return "./"
	}
	return u.Path + "?" + u.Query().Encode()
}

func (c *Console) postSignOut(w http.ResponseWriter, r *http.Request) {
	if c.door != nil {
		c.door.SignOut(w, r)
	}
	http.Redirect(w, r, "./", http.StatusSeeOther)
}
