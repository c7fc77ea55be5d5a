package store

import (
	"fmt"
	"testing"
)

func BenchmarkJournalPut(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	defer s.Close()
	value := bytesOf(1, 500)
	i := 0
	for b.Loop() {
		i++
		if err := s.Journal.Put(fmt.Sprint(i), value); err != nil {
			b.Fatal(err)
		}
	}
}

// A relinearisation share is the largest blob of a ceremony.
const relinearisationShare = 18_900_000

func BenchmarkBlobPut(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	defer s.Close()
	blob := bytesOf(1, relinearisationShare)
	b.SetBytes(relinearisationShare)
	for b.Loop() {
		d, err := s.Blobs.Put(blob)
		if err == nil {
			err = s.Blobs.Delete(d)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBlobGet(b *testing.B) {
	s := mustOpen(b, b.TempDir())
	defer s.Close()
	d, err := s.Blobs.Put(bytesOf(1, relinearisationShare))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(relinearisationShare)
	for b.Loop() {
		if _, err := s.Blobs.Get(d); err != nil {
			b.Fatal(err)
		}
	}
}
