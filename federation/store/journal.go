package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"
)

// Limits of a record. What is put at once is one transaction, and Badger caps
// one at 15 % of its memtable.
const (
	MaxRecord = 1 << 20 // bytes of keys and values put at once
	maxKey    = 1 << 10 // bytes of a key
)

// Keys of the journal. Each record has a number, from 1, in the order they were
// put; a gap shows that one was lost.
const (
	recordKeys = "r" // + key → version, number (8 bytes, big-endian), value
	numberKeys = "n" // + number → key
	// headerLen is what comes before a value.
	recordVersion = 1
	headerLen     = 1 + 8
)

// A Journal is records that are put once.
type Journal struct {
	kv engine
	// acknowledged is told the number of records after each put.
	acknowledged func(count uint64) error

	mu    sync.Mutex // held while putting
	count uint64
}

// A Record is a key, 1 to 1,024 bytes, and its value.
type Record struct {
	Key   string
	Value []byte
}

// newJournal checks that no record is missing between the first and the last.
func newJournal(kv engine, acknowledged func(uint64) error) (*Journal, error) {
	j := &Journal{kv: kv, acknowledged: acknowledged}
	var gap error
	err := kv.scan(numberKeys, false, func(key string, _ []byte) bool {
		if key != numberKey(j.count+1) {
			gap = &CorruptError{What: "the journal", Cause: fmt.Sprintf("record %d is missing before a later one; restore the directory", j.count+1)}
			return false
		}
		j.count++
		return true
	})
	if err = firstError(err, gap); err != nil {
		return nil, err
	}
	var records uint64
	if err := kv.scan(recordKeys, false, func(string, []byte) bool { records++; return true }); err != nil {
		return nil, err
	}
	if records != j.count {
		return nil, &CorruptError{What: "the journal", Cause: fmt.Sprintf("%d records and %d numbers; restore the directory", records, j.count)}
	}
	return j, nil
}

// Put puts value under key. It is on disk when Put returns. Putting what is
// there already is not an error; another value is a [*ConflictError].
func (j *Journal) Put(key string, value []byte) error {
	return j.PutAll([]Record{{key, value}})
}

// PutAll puts all records or, on an error, none. They may have [MaxRecord] bytes
// together.
func (j *Journal) PutAll(records []Record) error {
	if err := checkSizes(records); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	fresh, err := j.fresh(records)
	if err != nil || len(fresh) == 0 {
		return err
	}
	writes := make([]write, 0, 2*len(fresh))
	count := j.count
	for _, r := range fresh {
		count++
		value := append(binary.BigEndian.AppendUint64([]byte{recordVersion}, count), r.Value...)
		writes = append(writes, write{recordKeys + r.Key, value}, write{numberKey(count), []byte(r.Key)})
	}
	if err := j.kv.commit(writes, true); err != nil {
		return err
	}
	j.count = count
	return j.acknowledged(count)
}

// fresh is the records that are not there yet, each once.
func (j *Journal) fresh(records []Record) ([]Record, error) {
	var out []Record
	given := make(map[string][]byte, len(records))
	for _, r := range records {
		have, here := given[r.Key]
		if !here {
			var err error
			have, err = j.Get(r.Key)
			if err == ErrNotFound {
				given[r.Key] = r.Value
				out = append(out, r)
				continue
			}
			if err != nil {
				return nil, err
			}
		}
		if !bytes.Equal(have, r.Value) {
			return nil, &ConflictError{Key: r.Key, Have: sha256.Sum256(have), Given: sha256.Sum256(r.Value)}
		}
	}
	return out, nil
}

// Get is the value of key, or [ErrNotFound].
func (j *Journal) Get(key string) ([]byte, error) {
	stored, err := j.kv.get(recordKeys + key)
	if err != nil {
		return nil, err
	}
	return recordValue(key, stored)
}

// Range yields the records whose keys begin with prefix, in the order of their
// keys, until yield returns false. A value is the caller's to keep. It sees what
// was put before it began.
func (j *Journal) Range(prefix string, yield func(key string, value []byte) bool) error {
	var damaged error
	err := j.kv.scan(recordKeys+prefix, true, func(key string, stored []byte) bool {
		key = key[len(recordKeys):]
		var value []byte
		if value, damaged = recordValue(key, stored); damaged != nil {
			return false
		}
		return yield(key, value)
	})
	return firstError(err, damaged)
}

// Count is the number of records ever put. It never falls: one that is behind a
// number known elsewhere belongs to a journal that was rolled back.
func (j *Journal) Count() uint64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.count
}

func numberKey(n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte(numberKeys), n))
}

// recordValue takes the header off.
func recordValue(key string, stored []byte) ([]byte, error) {
	switch {
	case len(stored) < headerLen:
		return nil, &CorruptError{What: fmt.Sprintf("record %q", key), Cause: fmt.Sprintf("%d bytes", len(stored))}
	case stored[0] != recordVersion:
		return nil, &CorruptError{What: fmt.Sprintf("record %q", key), Cause: fmt.Sprintf("version %d; this program reads %d", stored[0], recordVersion)}
	}
	return stored[headerLen:], nil
}

func checkSizes(records []Record) error {
	total := 0
	for _, r := range records {
		if len(r.Key) == 0 || len(r.Key) > maxKey {
			return &LimitError{What: "a key", Size: int64(len(r.Key)), Min: 1, Max: maxKey}
		}
		total += len(r.Key) + len(r.Value)
	}
	if total > MaxRecord {
		return &LimitError{What: "what is put at once", Size: int64(total), Max: MaxRecord}
	}
	return nil
}

// firstError is the first error that is not nil.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
