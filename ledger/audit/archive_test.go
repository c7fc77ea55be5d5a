package audit

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

// written is the archive of a fabric.
func written(tb testing.TB, f *fabric) []byte {
	tb.Helper()
	var out bytes.Buffer
	w, err := NewArchiveWriter(&out, f.genesis)
	for _, b := range f.blocks {
		if err == nil {
			err = w.Block(b.block, b.commit)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestArchiveRefuses(t *testing.T) {
	f := newFabric(t, consortium(1))
	f.make()
	good := written(t, f)
	for _, test := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"something else", []byte("{}"), ErrMalformed},
		{"no genesis", []byte(archiveMagic), ErrMalformed},
		{"a genesis without end", append([]byte(archiveMagic), 255, 255, 255, 255), ErrTooLarge},
		{"another genesis", append([]byte(archiveMagic), 0, 0, 0, 1, 1), ErrMalformed},
		{"cut in a length", append(bytes.Clone(good), 0, 0), ErrMalformed},
		{"cut in a commit", good[:len(good)-1], ErrMalformed},
		{"a block without a commit", append(bytes.Clone(good), 0, 0, 0, 1, 0), ErrMalformed},
		{"an endless block", append(bytes.Clone(good), 1, 0, 0, 0), ErrTooLarge},
	} {
		if err := replayFile(test.b); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
	if err := replayFile(good); err != nil {
		t.Error(err)
	}
}

// FuzzArchive holds the reader to its law: what it reads, the writer writes back.
func FuzzArchive(f *testing.F) {
	c := newFabric(f, consortium(1))
	c.make()
	f.Add(written(f, c))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := OpenArchive(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		w, err := NewArchiveWriter(&again, a.Genesis)
		if err != nil {
			t.Fatal(err)
		}
		for {
			block, commit, err := a.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return
			}
			if err := w.Block(block, commit); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Errorf("%x is read as %x", b, again.Bytes())
		}
		if err := replayFile(b); err == nil && !bytes.HasPrefix(written(t, c), b) {
			t.Error("an archive that nobody signed was believed")
		}
	})
}
