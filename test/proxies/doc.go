// Package proxies tests the gate behind the proxies that people put in front of it: nginx and HAProxy, as the
// distribution has them, with the least configuration that works. Whatever the gate refuses, and however large the
// request was, the client must get the gate's response, and not a 502 of the proxy.
package proxies
