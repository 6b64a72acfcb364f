package doctor

import "strings"

// pathPrefix checks whether --url ends with the prefix that clients put before every path. Without the prefix, the gate
// refuses all requests, even where it has holes.
func (e *examination) pathPrefix() {
	const check = "path prefix"
	prefix := ""
	if e.status != nil {
		prefix = e.status.Settings.PathPrefix
	}
	switch {
	case !e.noRoute && prefix == "":
	case !e.noRoute:
		e.add(check, OK, "clients put %s before every path, and --url leads there", prefix)
	case prefix != "" && !strings.HasSuffix(e.URL.Path, prefix):
		e.add(check, Fault, "clients put %s before every path, and --url does not end with that, so nothing was proved; ask again with --url %s%s", prefix, e.URL, prefix)
	default:
		e.add(check, Look, "the gate has no route for %s below %s, so the other requests prove little: if it has a --path-prefix, end --url with that; or is the route's group not exposed?", strings.ReplaceAll(e.target.call(), nobody, "ID"), e.URL)
	}
}
