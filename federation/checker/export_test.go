package checker

import (
	"io"

	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// VerifyWithout is VerifyFraud with one defence off.
func VerifyWithout(defence string, file io.ReaderAt, size int64, profiles he.Profiles, signed func(block, commit []byte) (ledger.Block, ledger.Digest, error)) (*Finding, error) {
	off := map[string]defences{"": {}, "proofs": {proofs: true}, "digests": {digests: true}, "lacking": {lacking: true}}
	return verifyFraud(file, size, profiles, signed, off[defence])
}

// ReadHead decodes the head of a file, and says where its blobs begin.
func ReadHead(file io.ReaderAt, size int64) (*Fraud, int64, error) { return readHead(file, size) }

// Write writes head and blobs.
func Write(out io.Writer, head *Fraud, blobs io.ReadSeeker) error { return write(out, head, blobs) }
