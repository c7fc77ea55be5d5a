// Package gate is the door of a process to its peers, and the way through the
// doors of validators.
//
// Who may come in is on the ledger: a [Door] accepts a connection if the peer
// proves, in mutual TLS 1.3, an Ed25519 key that the present state admits, and
// closes it in the block that revokes the key. There is no certificate
// authority; certificates are self-signed and live a day. Validators and
// aggregation nodes serve behind the same door.
//
// A [Follower] believes no validator. It streams blocks from several, has their
// signatures checked, executes every block again on a replica of its own and
// compares the root with the one in the next header. It stops with a
// [RootError] if they differ.
package gate
