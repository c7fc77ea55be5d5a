package tree

// Keys is how many keys the state has.
func (s *Snapshot) Keys() (n int64) {
	s.tree.reads.fail(s.use(func() error {
		root, err := s.state()
		if root != nil {
			n = root.size
		}
		return err
	}))
	return n
}
