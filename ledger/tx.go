package ledger

import (
	"crypto/ed25519"
	"fmt"
)

// A Signature is an Ed25519 signature.
type Signature [ed25519.SignatureSize]byte

// A Tx is a transaction that was signed: what its sender wants recorded, on
// which chain, and until when it may be.
type Tx struct {
	Chain  string
	Expiry int64 // Unix milliseconds of block time
	Sender Key   // of a member or querier
	Body   Body

	signed    []byte // what the signature covers
	signature Signature
}

// A Body is what a transaction records. The set is closed.
type Body interface {
	coded
	kind() kind
	// apply records the body or refuses it; what it wrote before it refuses is
	// dropped.
	apply(s *state, from sender) Result
}

// A kind names a body on the wire. Never reuse or renumber one.
type kind uint8

// bodies makes an empty body of each kind.
var bodies = map[kind]func() Body{
	1:  func() Body { return new(Join) },
	2:  func() Body { return new(Approve) },
	3:  func() Body { return new(Revoke) },
	4:  func() Body { return new(Renew) },
	5:  func() Body { return new(OpenRoster) },
	6:  func() Body { return new(OpenKeySet) },
	7:  func() Body { return new(Commit) },
	8:  func() Body { return new(Reveal) },
	9:  func() Body { return new(KeyAck) },
	10: func() Body { return new(AbortCeremony) },
	11: func() Body { return new(OpenTask) },
	12: func() Body { return new(Consent) },
	13: func() Body { return new(Contribute) },
	14: func() Body { return new(OpenJob) },
	15: func() Body { return new(ApproveJob) },
	16: func() Body { return new(StepRecord) },
	17: func() Body { return new(ModelRecord) },
	18: func() Body { return new(Values) },
	19: func() Body { return new(PauseJob) },
	20: func() Body { return new(AbortJob) },
	21: func() Body { return new(ReplaceNode) },
	22: func() Body { return new(Serve) },
	23: func() Body { return new(AdmitQuerier) },
	24: func() Body { return new(Usage) },
	25: func() Body { return new(CloseEpoch) },
	26: func() Body { return new(Evidence) },
	27: func() Body { return new(Transfer) },
	28: func() Body { return new(Stake) },
	29: func() Body { return new(Unstake) },
	30: func() Body { return new(CommitRanking) },
	31: func() Body { return new(RevealRanking) },
	32: func() Body { return new(Settle) },
	33: func() Body { return new(Amend) },
	45: func() Body { return new(OpenChallenge) },
	46: func() Body { return new(Verdict) },
	47: func() Body { return new(Lapse) },
	40: func() Body { return new(Upgrade) },
	41: func() Body { return new(Announce) },
	42: func() Body { return new(Attend) },
}

func (t *Tx) code(c *coder) {
	c.text(&t.Chain, MaxName)
	c.i64(&t.Expiry)
	c.digest(&t.Sender)
	var k uint8
	if !c.reading {
		k = uint8(t.Body.kind())
	}
	c.u8(&k)
	if c.reading && c.err == nil {
		empty, ok := bodies[kind(k)]
		if !ok {
			c.fail("a transaction of kind %d; is the sender newer?", k)
			return
		}
		t.Body = empty()
	}
	if c.err == nil {
		t.Body.code(c)
	}
}

// SignTx is the one encoding of a transaction of body, signed by key.
func SignTx(chain string, expiry int64, body Body, key ed25519.PrivateKey) []byte {
	t := Tx{Chain: chain, Expiry: expiry, Sender: Key(key.Public().(ed25519.PublicKey)), Body: body}
	signed := appendCoded(nil, &t)
	return append(signed, ed25519.Sign(key, signing("tx", signed))...)
}

// ParseTx decodes exactly one transaction. It does not verify the signature.
func ParseTx(b []byte) (Tx, error) {
	if len(b) > MaxTx || len(b) < len(Signature{}) {
		return Tx{}, fmt.Errorf("a transaction of %d bytes; it has %d to %d", len(b), len(Signature{}), MaxTx)
	}
	at := len(b) - len(Signature{})
	t := Tx{signed: b[:at:at], signature: Signature(b[at:])}
	if err := parseCoded(t.signed, &t); err != nil {
		return Tx{}, fmt.Errorf("transaction: %w", err)
	}
	return t, nil
}

// Append adds the encoding that t was parsed from to dst.
func (t *Tx) Append(dst []byte) []byte { return append(append(dst, t.signed...), t.signature[:]...) }

// Hash identifies what was signed: chain, expiry, sender and body, whatever the
// signature.
func (t *Tx) Hash() Digest { return Hash("tx", t.signed) }

// signing is what a signature of a purpose covers: no signed bytes of one
// purpose are those of another.
func signing(purpose string, b []byte) []byte {
	d := Hash("signature/"+purpose, b)
	return d[:]
}
