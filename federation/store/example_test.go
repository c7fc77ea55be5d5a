package store_test

import (
	"fmt"

	"github.com/commonseal/commonseal/federation/store"
)

// A crash after the second write is on disk: its caller never heard of it, and
// putting the same again is harmless.
func ExampleMem_FailAt() {
	m := store.NewMem()
	m.FailAt(2, store.After)
	fmt.Println(m.Journal.Put("share/1", []byte("bytes")))
	fmt.Println(m.Journal.Put("share/2", []byte("bytes")))

	m = m.Restart()
	fmt.Println(m.Journal.Count(), m.Journal.Put("share/2", []byte("bytes")))
	// Output:
	// <nil>
	// store: crashed as planned
	// 2 <nil>
}
