package tree

import (
	"crypto/sha256"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// Export yields the chunks of the snapshot, in order, until yield returns an error,
// and returns their manifest. It reads everything, the log included: who restores
// it proves all that this tree does. yield may keep a chunk.
func (s *Snapshot) Export(yield func(chunk []byte) error) (Manifest, error) {
	m := Manifest{Height: s.commit.Height, Log: s.commit.Log, State: s.commit.State}
	err := s.use(func() error {
		var chunk []byte
		send := func() error {
			if len(m.Chunks) == MaxChunks {
				return fmt.Errorf("it has more than %d chunks; only who has all blocks can follow this ledger", MaxChunks)
			}
			m.Chunks = append(m.Chunks, sha256.Sum256(chunk))
			err := yield(chunk)
			chunk = nil
			return err
		}
		for _, kind := range travelling {
			err := s.rows(kind, func(r row) error {
				n := recordHead + len(r.key) - 1 + len(r.value)
				if n > ChunkBytes {
					return fmt.Errorf("row %q of %d bytes does not fit in a chunk", r.key, len(r.value))
				}
				if len(chunk)+n > ChunkBytes {
					if err := send(); err != nil {
						return err
					}
				}
				chunk = appendRecord(chunk, r)
				return nil
			})
			if err != nil {
				return err
			}
		}
		return send() // a state is never empty: it has a genesis
	})
	if err != nil {
		return Manifest{}, fmt.Errorf("export the state after block %d: %w", m.Height, err)
	}
	return m, nil
}

// rows yields the rows of a kind that the snapshot sees.
func (s *Snapshot) rows(kind byte, yield func(row) error) error {
	it := s.txn.NewIterator(badger.IteratorOptions{Prefix: []byte{kind}, PrefetchValues: true, PrefetchSize: 100})
	defer it.Close()
	for it.Rewind(); it.Valid(); it.Next() {
		value, err := it.Item().ValueCopy(nil)
		if err != nil {
			return err
		}
		if err := yield(row{it.Item().KeyCopy(nil), value}); err != nil {
			return err
		}
	}
	return nil
}
