package ledger

import "fmt"

// Apply is what block b makes of the state v. It gives the same outcome
// wherever it is called.
func Apply(v View, b Block) Outcome { return Verifier(nil).Apply(v, b) }

func (s *state) applyBlock(txs [][]byte) Outcome {
	var out Outcome
	for _, tx := range txs {
		inner := s.above() // a refused transaction may have written
		r := inner.applyTx(tx)
		if full := len(s.keys) + len(inner.keys) + len(out.Leaves) + 1; r.Code == OK && full > MaxChanges-forgotten {
			r = refuse(OverLimit, "the block is full; submit it again")
		}
		if r.Code == OK {
			for _, k := range inner.keys {
				s.set(k, inner.written[k])
			}
			out.Leaves = append(out.Leaves, tx)
		}
		out.Results = append(out.Results, r)
	}
	s.forget(MaxChanges - len(s.keys) - len(out.Leaves))
	s.balanced()
	out.Writes, out.Powers = s.writes(), s.repowered()
	return out
}

// Check says what would become of one transaction in a block of its own at
// time now: a validator lets nothing else into its pool.
func Check(v View, now int64, tx []byte) Result {
	return Verifier(nil).Check(v, now, tx)
}

// A sender is who signed a transaction: a member, or a querier.
type sender struct {
	name   string
	key    Key
	member *Member // nil of a querier, and of one who asks to join
	joins  bool    // it asks to join: it has nothing to pay with
}

func refuse(code Code, format string, args ...any) Result {
	return Result{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// applyTx checks what all transactions have in common, and applies the body.
func (s *state) applyTx(b []byte) Result {
	t, err := ParseTx(b)
	if err != nil {
		return refuse(Malformed, "%v", err)
	}
	switch {
	case s.genesis == nil:
		return refuse(WrongState, "the chain has no genesis")
	case t.Chain != s.genesis.Chain:
		return refuse(WrongChain, "signed for chain %q; this is %q", t.Chain, s.genesis.Chain)
	case t.Expiry <= s.now:
		return refuse(Expired, "expired at %d, the block is of %d; sign it anew", t.Expiry, s.now)
	case t.Expiry > s.now+MaxExpiry:
		return refuse(Expired, "expires at %d, more than %d ms after the block of %d; sign it for a shorter time", t.Expiry, int64(MaxExpiry), s.now)
	}
	seen := t.seen()
	if s.has(seen) && s.on(seenSet) {
		return refuse(Replayed, "these bytes were accepted before")
	}
	from, r := s.sender(&t)
	if r.Code != OK {
		return r
	}
	if !s.verified(&t) {
		return refuse(BadSignature, "the signature of %s does not verify; sign the exact bytes", from.name)
	}
	if !from.joins {
		if r := s.charge(from.name, len(b)); r.Code != OK {
			return r
		}
	}
	if r := t.Body.apply(s, from); r.Code != OK {
		return r
	}
	s.putRaw(seen, []byte{1})
	return Result{}
}

// sender finds who signs with t's key.
func (s *state) sender(t *Tx) (sender, Result) {
	name, ok := s.name(key(keySigning, t.Sender))
	if !ok {
		if join, asks := t.Body.(*Join); asks && join.Member.Signing == t.Sender {
			return sender{name: join.Member.Name, key: t.Sender, joins: true}, Result{}
		}
		return sender{}, refuse(Unknown, "signing key %x is not on the ledger; join first", t.Sender[:6])
	}
	m, ok := load[Member](s, key(keyMember, name))
	if ok && m.Revoked {
		return sender{}, refuse(Forbidden, "%s was revoked", name)
	}
	return sender{name: name, key: t.Sender, member: m}, Result{}
}

// forget drops what has expired from the seen-set: nothing of it can come again. As
// many a block as there is room for: more than a block adds, so it never falls
// behind.
func (s *state) forget(most int) {
	var gone [][]byte
	end := string(key(keySeen, s.now+1))
	s.Range([]byte(keySeen), func(k, _ []byte) bool {
		if string(k) > end || len(gone) == most {
			return false
		}
		gone = append(gone, append([]byte(nil), k...))
		return true
	})
	for _, k := range gone {
		s.delete(k)
	}
}
