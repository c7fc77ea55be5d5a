package store

import (
	"errors"
	"fmt"

	"github.com/commonseal/commonseal/ledger"
)

// ErrNotFound says that there is no such record or blob.
var ErrNotFound = errors.New("store: not found")

// ErrCrash is what everything returns from a crash planned with [Mem.FailAt] on.
var ErrCrash = errors.New("store: crashed as planned")

// A ConflictError says that a place is taken by something else. Nothing was
// written; the same will be refused again.
type ConflictError struct {
	Key         string
	Have, Given ledger.Digest // SHA-256 of the two values
}

func (e *ConflictError) Error() string {
	return fmt.Sprintf("store: %q holds a value with digest %x, given one with %x; a record is put once: keep the first", e.Key, e.Have, e.Given)
}

// A CorruptError says that what is on disk is not what was put there. A blob
// that is corrupt has been dropped: fetch it again.
type CorruptError struct {
	What  string
	Cause string
}

func (e *CorruptError) Error() string {
	return fmt.Sprintf("store: %s is damaged: %s", e.What, e.Cause)
}

// A RollbackError says that the journal has fewer records than it acknowledged.
// Going on could say a second thing where the first is forgotten.
type RollbackError struct {
	Have, Acknowledged uint64
}

func (e *RollbackError) Error() string {
	return fmt.Sprintf("store: the journal has %d records and acknowledged %d; restore the rest, or make new keys and begin with an empty directory", e.Have, e.Acknowledged)
}

// A FullError says that the disk has less room than a write may need. Nothing
// was written; the same call succeeds once there is room.
type FullError struct {
	Dir        string
	Free, Need uint64 // bytes
}

func (e *FullError) Error() string {
	return fmt.Sprintf("store: %s has %d bytes free and needs %d; make room and repeat", e.Dir, e.Free, e.Need)
}

// A DiskError says that the disk failed, or that the store is closed. What the
// call was to write may or may not be there; after a failed write everything is
// refused until the store is opened again, which tells.
type DiskError struct {
	Op    string
	Cause error
}

func (e *DiskError) Error() string {
	return fmt.Sprintf("store: %s: %v; mend the disk and open the store again", e.Op, e.Cause)
}

func (e *DiskError) Unwrap() error { return e.Cause }

// A QuotaError says that an owner has no room for a blob of the declared size.
type QuotaError struct {
	Owner             string
	Used, Size, Quota int64 // bytes
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("store: %q holds or has reserved %d of %d bytes, %d more do not fit; finish or drop an upload", e.Owner, e.Used, e.Quota, e.Size)
}

// A LimitError says that something has not the size it must have.
type LimitError struct {
	What           string
	Size, Min, Max int64 // bytes
}

func (e *LimitError) Error() string {
	if e.Min == e.Max {
		return fmt.Sprintf("store: %s has %d bytes; it must have %d", e.What, e.Size, e.Max)
	}
	return fmt.Sprintf("store: %s has %d bytes; %d to %d are allowed", e.What, e.Size, e.Min, e.Max)
}

// An OffsetError says that a chunk does not continue its upload, or that the
// upload is not complete. Go on at Want.
type OffsetError struct {
	Want, Given int64
}

func (e *OffsetError) Error() string {
	return fmt.Sprintf("store: a chunk at offset %d where %d is next; go on at %d", e.Given, e.Want, e.Want)
}

// A DigestError says that a complete upload has another digest than declared.
// All of it was dropped.
type DigestError struct {
	Declared, Got ledger.Digest
}

func (e *DigestError) Error() string {
	return fmt.Sprintf("store: declared as %x, the upload is %x; it was dropped: begin again", e.Declared, e.Got)
}
