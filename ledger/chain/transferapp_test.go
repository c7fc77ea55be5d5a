package chain

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

// transferApp is an App that costs what ledger.Apply costs for transfers: a
// signature, a sender and a receiver with records of 100 bytes, and a set of what
// was accepted and has not expired. So many accounts are opened by transactions
// of one byte, or the state of 10^5 would not fit in a block.
//
//	"account/" 4 bytes           → key of 32 bytes, balance of 8, 60 of nothing
//	"seen/" expiry, SHA-256      → 1
//	from 4, to 4, amount 8, expiry 8, memo, signature 64: a transaction
func transferApp(t *tree.Tree) App {
	var known Signatures
	return App{Tree: t, Genesis: testGenesis, Apply: func(v ledger.View, b ledger.Block) ledger.Outcome {
		return transferApply(&known, v, b)
	}, Check: func(v ledger.View, now int64, tx []byte) ledger.Result {
		return (&transfers{&known, v, now, map[string][]byte{}}).apply(tx)
	}}
}

const (
	transferSize = 300
	perOpening   = 2000 // accounts
	signers      = 256  // keys, of which account n has the one with number n % signers
)

func transferKey(account uint32) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte{byte(account % signers)})
	return ed25519.NewKeyFromSeed(seed[:])
}

// transfer is a signed transaction of 300 bytes.
func transfer(from, to uint32, amount uint64, expiry int64, memo uint64, key ed25519.PrivateKey) []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, transferSize), from)
	b = binary.BigEndian.AppendUint32(b, to)
	b = binary.BigEndian.AppendUint64(b, amount)
	b = binary.BigEndian.AppendUint64(b, uint64(expiry))
	b = binary.BigEndian.AppendUint64(b, memo)
	b = append(b, make([]byte, transferSize-ed25519.SignatureSize-len(b))...)
	digest := sha256.Sum256(b)
	return append(b, ed25519.Sign(key, digest[:])...)
}

func accountKey(account uint32) string {
	return string(binary.BigEndian.AppendUint32([]byte("account/"), account))
}

// transfers is a state with what a block has written so far.
type transfers struct {
	known   *Signatures
	view    ledger.View
	now     int64
	written map[string][]byte
}

func (s *transfers) get(key string) []byte {
	if value, ok := s.written[key]; ok {
		return value
	}
	return s.view.Get([]byte(key))
}

func transferApply(known *Signatures, v ledger.View, b ledger.Block) (out ledger.Outcome) {
	s := transfers{known, v, b.Time, map[string][]byte{}}
	for _, tx := range b.Txs {
		r := ledger.Result{Code: ledger.OverLimit}
		if len(s.written)+len(out.Leaves)+perOpening+4 < ledger.MaxChanges {
			r = s.apply(tx)
		}
		if r.Code == ledger.OK {
			out.Leaves = append(out.Leaves, tx)
		}
		out.Results = append(out.Results, r)
	}
	v.Range([]byte("seen/"), func(key, _ []byte) bool {
		if int64(binary.BigEndian.Uint64(key[5:])) > b.Time || len(s.written)+len(out.Leaves) >= ledger.MaxChanges {
			return false
		}
		s.written[string(key)] = nil
		return true
	})
	for _, key := range slices.Sorted(maps.Keys(s.written)) {
		out.Writes = append(out.Writes, ledger.Write{Key: []byte(key), Value: s.written[key]})
	}
	return out
}

func (s *transfers) apply(tx []byte) ledger.Result {
	if len(tx) == 1 {
		return s.open(uint32(tx[0]))
	}
	if len(tx) != transferSize {
		return ledger.Result{Code: ledger.Malformed}
	}
	expiry, digest := int64(binary.BigEndian.Uint64(tx[16:])), sha256.Sum256(tx[:transferSize-ed25519.SignatureSize])
	seen := string(append(binary.BigEndian.AppendUint64([]byte("seen/"), uint64(expiry)), digest[:]...))
	fromKey, toKey := accountKey(binary.BigEndian.Uint32(tx)), accountKey(binary.BigEndian.Uint32(tx[4:]))
	from := bytes.Clone(s.get(fromKey))
	switch {
	case expiry <= s.now || expiry > s.now+ledger.MaxExpiry:
		return ledger.Result{Code: ledger.Expired}
	case s.get(seen) != nil:
		return ledger.Result{Code: ledger.Replayed}
	case from == nil || s.get(toKey) == nil || fromKey == toKey:
		return ledger.Result{Code: ledger.Unknown}
	case !s.known.Verify(ledger.Key(from), digest, ledger.Signature(tx[transferSize-ed25519.SignatureSize:])):
		return ledger.Result{Code: ledger.BadSignature}
	}
	to, amount := bytes.Clone(s.get(toKey)), binary.BigEndian.Uint64(tx[8:])
	balance := binary.BigEndian.Uint64(from[32:])
	if balance < amount {
		return ledger.Result{Code: ledger.OverLimit}
	}
	binary.BigEndian.PutUint64(from[32:], balance-amount)
	binary.BigEndian.PutUint64(to[32:], binary.BigEndian.Uint64(to[32:])+amount)
	s.written[fromKey], s.written[toKey], s.written[seen] = from, to, []byte{1}
	return ledger.Result{}
}

// open opens the accounts of a part.
func (s *transfers) open(part uint32) ledger.Result {
	for i := part * perOpening; i < (part+1)*perOpening; i++ {
		if s.get(accountKey(i)) != nil {
			return ledger.Result{Code: ledger.Replayed}
		}
		record := make([]byte, 100)
		copy(record, transferKey(i).Public().(ed25519.PublicKey))
		binary.BigEndian.PutUint64(record[32:], 1<<40)
		s.written[accountKey(i)] = record
	}
	return ledger.Result{}
}
