package wire

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// A Query is the envelope of an encrypted query: who asks which model, or which
// blend, how many rows, in its signature's name.
type Query struct {
	Model    ledger.Digest // or blend: see [ledger.AskedOf]
	Querier  ledger.Key    // that signs
	Sequence uint64        // 1, 2, … of the querier: each is answered once
	Rows     uint16        // answers that are paid for
	Digest   ledger.Digest

	signature ledger.Signature
}

const queryBytes = 1 + 32 + 32 + 8 + 2 + 32

func (q Query) body() []byte {
	b := append([]byte{version}, q.Model[:]...)
	b = binary.BigEndian.AppendUint64(append(b, q.Querier[:]...), q.Sequence)
	return append(binary.BigEndian.AppendUint16(b, q.Rows), q.Digest[:]...)
}

// signedQuery is what the signature covers on a chain.
func signedQuery(chain string, body []byte) []byte {
	d := ledger.Hash("query", []byte(chain), body)
	return d[:]
}

// Sign signs q in key's name.
func (q Query) Sign(chain string, key ed25519.PrivateKey) Query {
	q.Querier = ledger.Key(key.Public().(ed25519.PublicKey))
	copy(q.signature[:], ed25519.Sign(key, signedQuery(chain, q.body())))
	return q
}

// Append adds the one encoding of a signed query to dst.
func (q Query) Append(dst []byte) []byte { return append(append(dst, q.body()...), q.signature[:]...) }

// ParseQuery decodes exactly one envelope that its querier did sign for the
// chain.
func ParseQuery(chain string, b []byte) (Query, error) {
	if len(b) != queryBytes+len(ledger.Signature{}) || b[0] != version {
		return Query{}, fmt.Errorf("query: an envelope of %d bytes; version %d has %d", len(b), version, queryBytes+len(ledger.Signature{}))
	}
	var q Query
	copy(q.Model[:], b[1:])
	copy(q.Querier[:], b[33:])
	q.Sequence, q.Rows = binary.BigEndian.Uint64(b[65:]), binary.BigEndian.Uint16(b[73:])
	copy(q.Digest[:], b[75:])
	copy(q.signature[:], b[queryBytes:])
	switch {
	case q.Sequence == 0 || q.Rows == 0:
		return Query{}, fmt.Errorf("query: number %d of %d rows; both are 1 at least", q.Sequence, q.Rows)
	case !ed25519.Verify(q.Querier[:], signedQuery(chain, b[:queryBytes]), q.signature[:]):
		return Query{}, fmt.Errorf("query: the signature of %x does not verify", q.Querier[:6])
	}
	return q, nil
}

// QuerierSession is what the uniform half of a querier's key is derived from
// (law L6): with its name and index 0, the seed of he.QuerierSeed.
func QuerierSession(chain string, task ledger.Digest) ledger.Digest {
	return ledger.Hash("querier-session", []byte(chain), task[:])
}
