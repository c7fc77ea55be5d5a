package chain

import (
	"runtime"
	"sync"

	dbm "github.com/cometbft/cometbft-db"
	cfg "github.com/cometbft/cometbft/config"
)

// A door stands between CometBFT's goroutines and what they read and write.
//
// A stopped CometBFT v0.40.0 node still has goroutines that read its databases
// (consensus queryMaj23Routine checks for the end once in several seconds), and
// its OnStop closes those databases: "panic: leveldb: closed", which takes the
// whole process down (cometbft#1878). So OnStop's Close does nothing; once the
// node has stopped, the door shuts, which waits for those inside, and then the
// databases close. Who knocks after that ends there: for the data it is what a
// crash between two operations is, and those are survived.
type door struct {
	mu     sync.Mutex
	inside int
	shut   bool
	empty  chan struct{} // closed when shut and nobody is inside
}

func newDoor() *door { return &door{empty: make(chan struct{})} }

// enter lets the calling goroutine in, or ends it. Everybody who enters leaves.
func (d *door) enter() {
	d.mu.Lock()
	if d.shut {
		d.mu.Unlock()
		runtime.Goexit()
	}
	d.inside++
	d.mu.Unlock()
}

func (d *door) leave() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.inside--; d.shut && d.inside == 0 {
		close(d.empty)
	}
}

// close shuts the door for ever and returns when nobody is inside.
func (d *door) close() {
	d.mu.Lock()
	if !d.shut {
		d.shut = true
		if d.inside == 0 {
			close(d.empty)
		}
	}
	d.mu.Unlock()
	<-d.empty
}

// databases opens CometBFT's databases behind a door, and closes them late.
type databases struct {
	door *door
	mu   sync.Mutex
	open []dbm.DB
}

// provide is a [cfg.DBProvider].
func (d *databases) provide(ctx *cfg.DBContext) (dbm.DB, error) {
	db, err := cfg.DefaultDBProvider(ctx)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = append(d.open, db)
	return guarded{db, d.door}, nil
}

// close closes what was opened, after the door has shut.
func (d *databases) close() error {
	d.door.close()
	d.mu.Lock()
	defer d.mu.Unlock()
	var first error
	for _, db := range d.open {
		if err := db.Close(); err != nil && first == nil {
			first = err
		}
	}
	d.open = nil
	return first
}

// guarded is a database behind a door; its Close does nothing.
type guarded struct {
	dbm.DB
	door *door
}

func (g guarded) Close() error { return nil }

func (g guarded) Get(key []byte) ([]byte, error) {
	g.door.enter()
	defer g.door.leave()
	return g.DB.Get(key)
}

func (g guarded) Has(key []byte) (bool, error) {
	g.door.enter()
	defer g.door.leave()
	return g.DB.Has(key)
}

func (g guarded) Set(key, value []byte) error {
	g.door.enter()
	defer g.door.leave()
	return g.DB.Set(key, value)
}

func (g guarded) SetSync(key, value []byte) error {
	g.door.enter()
	defer g.door.leave()
	return g.DB.SetSync(key, value)
}

func (g guarded) Delete(key []byte) error {
	g.door.enter()
	defer g.door.leave()
	return g.DB.Delete(key)
}

func (g guarded) DeleteSync(key []byte) error {
	g.door.enter()
	defer g.door.leave()
	return g.DB.DeleteSync(key)
}

func (g guarded) Iterator(start, end []byte) (dbm.Iterator, error) {
	return g.iterate(g.DB.Iterator, start, end)
}

func (g guarded) ReverseIterator(start, end []byte) (dbm.Iterator, error) {
	return g.iterate(g.DB.ReverseIterator, start, end)
}

// iterate stays inside until the iterator is closed.
func (g guarded) iterate(open func(start, end []byte) (dbm.Iterator, error), start, end []byte) (dbm.Iterator, error) {
	g.door.enter()
	it, err := open(start, end)
	if err != nil {
		g.door.leave()
		return nil, err
	}
	return &guardedIterator{Iterator: it, leave: sync.OnceFunc(g.door.leave)}, nil
}

func (g guarded) NewBatch() dbm.Batch {
	g.door.enter()
	defer g.door.leave()
	return guardedBatch{g.DB.NewBatch(), g.door}
}

type guardedIterator struct {
	dbm.Iterator
	leave func()
}

func (it *guardedIterator) Close() error {
	defer it.leave()
	return it.Iterator.Close()
}

type guardedBatch struct {
	dbm.Batch
	door *door
}

func (b guardedBatch) Write() error {
	b.door.enter()
	defer b.door.leave()
	return b.Batch.Write()
}

func (b guardedBatch) WriteSync() error {
	b.door.enter()
	defer b.door.leave()
	return b.Batch.WriteSync()
}
