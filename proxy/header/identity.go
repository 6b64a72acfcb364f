package header

import (
	"slices"
	"strings"
)

// The headers in which the gate tells the upstream who called, if it is asked to. Headers that begin with ownPrefix are
// never passed on, neither a client's nor those of an upstream's response.
const (
	ownPrefix = "X-Flowlatch-"
	KeyID     = ownPrefix + "Key-Id"
	Chatflow  = ownPrefix + "Chatflow"
)

// claimsIdentity reports whether a header says who a client is, where it is, or under which name it called the gate.
// Proxies and identity providers set these headers, and applications behind them believe the values. From a client, they
// are claims that nobody has checked. name is in the canonical form of package textproto.
func claimsIdentity(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded", "Forwarded-For", "X-Forward-For", "Via",
		"Client-Ip", "True-Client-Ip", "X-Client-Ip", "Cluster-Client-Ip", "X-Cluster-Client-Ip", "Proxy-Client-Ip", "Wl-Proxy-Client-Ip",
		"X-Proxyuser-Ip", "X-Originating-Ip", "X-Sucuri-Clientip", "X-Nf-Client-Connection-Ip", "Do-Connecting-Ip",
		"Fastly-Client-Ip", "Fastly-Client", "Fly-Client-Ip", "Incap-Client-Ip", "Ali-Cdn-Real-Ip", "Cdn-Src-Ip", "Cloudfront-Viewer-Address",
		"Http-Client-Ip", "X-Originally-Forwarded-For", // addresses
		"X-Host", "X-Scheme", "X-Proto", "X-Url-Scheme", "X-Http-Host-Override", "X-Host-Override", "Front-End-Https", // names
		"X-User", "X-Username", "X-Proxy-User", "X-Proxyuser", "X-Authelia-User", "X-Jwt-Assertion", "X-Token-Subject", "X-Spiffe-Id", "X-Auth-User", "X-Auth-Username", "X-Auth-Email", "X-Auth-Groups", "X-Auth-Roles",
		"X-Anonymous-Consumer", "X-Userinfo", "X-Endpoint-Api-Userinfo", "X-Apigateway-Api-Userinfo", // people
		"Wl-Proxy-Client-Cert", "Wl-Proxy-Ssl", "X-Client-Ssl": // client certificates
		return true
	}
	prefixes := identityPrefixes
	if strings.HasPrefix(name, "X-") {
		prefixes = identityPrefixesX
	}
	return slices.ContainsFunc(prefixes, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// identityPrefixes are prefixes of headers that claim an identity. identityPrefixesX are those that begin with X-. They
// are kept apart because headers of ordinary requests do not begin with X-.
var (
	identityPrefixes = []string{
		"Remote-", "Client-Cert", "Ssl-", "Cf-Connecting-", "Cf-Access-", "Cf-Pseudo-", "Tailscale-User-", // Client-Cert: RFC 9440
	}
	identityPrefixesX = []string{
		ownPrefix,
		"X-Forwarded-", "X-Original-", "X-Real-", "X-Remote-",
		"X-Auth-Request-", "X-Authenticated-", "X-Consumer-", "X-Credential-", "X-Webauth-", "X-Authentik-", "X-Pomerium-", "X-Vouch-", // authenticating proxies
		"X-Ssl-", "X-Client-Cert", "X-Client-Dn", "X-Client-Verify", // client certificates
		"X-Envoy-", "X-Appengine-", "X-Azure-", "X-Arr-", "X-Ms-Client-Principal", "X-Ms-Token-", "X-Amzn-Oidc-", "X-Amzn-Mtls-",
		"X-Goog-Authenticated-User-", "X-Goog-Iap-", "X-Vercel-Forwarded-", "X-Vercel-Ip-", "X-Vercel-Proxied-", // clouds
	}
)
