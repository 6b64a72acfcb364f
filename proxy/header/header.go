// Package header decides which headers pass the gate, and which of a client's are believed: the address of the client, its
// trace, and what of requests and responses goes through.
//
// It is pure: it does no I/O and knows no keys. Package proxy adds what the gate itself says.
package header
