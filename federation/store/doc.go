// Package store is what a process remembers: a journal of records that are put
// once, and blobs named by their SHA-256.
//
// A [Journal] record is on disk before Put returns and is never changed or
// forgotten (law: journal before effect). A blob is on disk before
// [Upload.Finish] or [Blobs.Put] returns, is verified each time it is read, and
// is never visible in part. What is larger than [MaxRecord] goes into a blob
// first, and its digest into the journal.
//
// [Open] keeps both in a directory; [NewMem] is the twin in memory, the same
// code over a map, in which a crash can be planned before or after any write.
// Everything is safe for concurrent use.
//
// The directory holds journal/, a Badger database; journal.count, the number of
// records acknowledged: a journal that comes back with fewer is a
// [*RollbackError], whatever took them; and blobs/, a file for each chunk.
package store
