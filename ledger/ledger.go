// Package ledger is the record of a consortium as a pure function: who its
// members are, which keys they made together, what was contributed, trained,
// served and used.
//
// [Apply] takes the state before a block and the block, and returns what to
// write and a result for each transaction. It does no I/O, keeps no time,
// starts no goroutine, uses no float and no order of a map, so everybody who has
// the blocks has the state (laws L9 and L10): digests, counts and integers, never
// data. Transactions have one canonical encoding each. Nothing a transaction
// contains makes Apply panic; what is not in order is a [Result] with a [Code].
package ledger

// A Digest is a SHA-256 value.
type Digest = [32]byte

// A Key is an Ed25519 public key.
type Key = [32]byte

// A View is a state to read: keys to values. What it returns is shared and must
// not be written to.
type View interface {
	// Get is the value of key, nil if there is none. No value is empty.
	Get(key []byte) []byte
	// Range yields every key that begins with prefix, in order, until yield
	// returns false.
	Range(prefix []byte, yield func(key, value []byte) bool)
}

// A Write sets a key, or deletes it if Value is nil.
type Write struct{ Key, Value []byte }

// A Block is what consensus ordered.
type Block struct {
	Height int64
	Time   int64 // Unix milliseconds, of the header; all deadlines are in block time
	Txs    [][]byte

	Misbehaved []Misbehaviour // that the block proves, in its order
}

// An Outcome is what a block changes.
type Outcome struct {
	Writes  []Write  // by key, each key once
	Leaves  [][]byte // the accepted transactions, to append to the log
	Results []Result // one a transaction
	Powers  []Power  // the validators whose power changed, by name; 0 removes
}

// A Result is what became of a transaction. Detail is for people, never parsed,
// and the same on every machine.
type Result struct {
	Code   Code
	Detail string
}

// A Code is why a transaction was refused. The numbers are part of the wire
// protocol: never reuse or renumber one.
type Code uint32

const (
	OK           Code = 0
	Malformed    Code = 1  // not a transaction in its canonical encoding
	WrongChain   Code = 2  // signed for another chain
	Expired      Code = 3  // its expiry is past, or further ahead than allowed
	BadSignature Code = 4  // the signature does not verify
	Unknown      Code = 5  // the sender, or what it names, is not on the ledger
	Forbidden    Code = 6  // the sender's role does not allow it, or it was revoked
	Replayed     Code = 7  // these very bytes were accepted before
	Conflict     Code = 8  // something else is recorded in its place
	WrongState   Code = 9  // not now: another transaction comes first
	OverLimit    Code = 10 // beyond a limit, quota or budget
	Late         Code = 11 // its deadline is past
	Ticketed     Code = 12 // a c1 that already has a ticket
)
