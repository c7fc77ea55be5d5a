package tree

// Failure is the first error of reading a disk, which looked like an absent key to
// whoever read: what a view has said since must not be believed.
func (t *Tree) Failure() error { return t.reads.failure() }
