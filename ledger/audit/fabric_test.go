package audit

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"testing"
	"time"

	abci "github.com/cometbft/cometbft/abci/types"
	cmted "github.com/cometbft/cometbft/crypto/ed25519"
	"github.com/cometbft/cometbft/types"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/tree"
)

const founding = 1_700_000_000_000 // block time of block 1, Unix milliseconds

var (
	companies  = []string{"ann", "bob", "cal"}
	nodes      = []string{"north", "south"}
	validators = []string{"v1", "v2", "v3", "v4"}
)

// keyOf is a key of a name, for a purpose.
func keyOf(purpose, name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(purpose + " of " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func publicOf(purpose, name string) ledger.Key {
	return ledger.Key(keyOf(purpose, name).Public().(ed25519.PublicKey))
}

func digestOf(parts ...any) ledger.Digest { return sha256.Sum256([]byte(fmt.Sprint(parts...))) }

// memberOf is a member of a name and its roles.
func memberOf(name string, roles ledger.Roles) ledger.Member {
	m := ledger.Member{Name: name, Owner: "Owner of " + name, Roles: roles, Signing: publicOf("signing", name), TLS: publicOf("tls", name)}
	if roles != ledger.Company {
		m.Address = name + ".example:7000"
	}
	if roles.Has(ledger.Validator) {
		m.Vote = publicOf("vote", name)
	}
	return m
}

// consortium is the genesis of three companies, two nodes and so many validators.
func consortium(n int) ledger.Genesis {
	g := ledger.Genesis{Chain: chain, Train: digestOf("train"), Release: digestOf("release"), Serve: digestOf("serve"), Mode: ledger.Quorum, Quorum: 2}
	for _, name := range companies {
		g.Members = append(g.Members, memberOf(name, ledger.Company))
	}
	for _, name := range nodes {
		g.Members = append(g.Members, memberOf(name, ledger.Aggregator))
	}
	for _, name := range validators[:n] {
		g.Members = append(g.Members, memberOf(name, ledger.Validator))
	}
	return g
}

// A fabric makes a chain as validators would: it executes transactions and signs
// blocks for all of them. What it does wrong is its caller's wish.
type fabric struct {
	tb      testing.TB
	genesis ledger.Genesis
	state   tree.Memory
	powers  [][]ledger.Power // after each block
	blocks  []madeBlock      // from height 1
	results []byte
	txs     int64 // signed so far: no two have the same bytes

	// What an attacker changes.
	edit    func(b *types.Block)              // before it is signed
	signers func(height int64) []ledger.Power // who signs, if not those of the state
	apply   func(ledger.View, ledger.Block) ledger.Outcome

	live *live // a validator that runs, instead of all this
}

type madeBlock struct {
	block, commit []byte
	id            types.BlockID
	signed        *types.Commit
	header        types.Header
}

func newFabric(tb testing.TB, g ledger.Genesis) *fabric {
	tb.Helper()
	f := &fabric{tb: tb, genesis: g, apply: ledger.Apply}
	writes, err := g.Writes()
	if err != nil {
		tb.Fatal(err)
	}
	f.store(0, ledger.Outcome{Writes: writes})
	return f
}

func (f *fabric) store(height int64, out ledger.Outcome) {
	f.tb.Helper()
	_, err := f.state.Stage(height, out)
	if err == nil {
		err = f.state.Commit()
	}
	if err != nil {
		f.tb.Fatal(err)
	}
	f.powers = append(f.powers, ledger.Powers(f.state.View()))
}

func (f *fabric) height() int64 { return int64(len(f.blocks)) }

// now is the time of the next block.
func (f *fabric) now() int64 {
	if f.live != nil {
		return time.Now().UnixMilli()
	}
	return founding + 1000*f.height()
}

// view is the state after the last block.
func (f *fabric) view() ledger.View {
	if f.live != nil {
		return f.live.node.Tree().View()
	}
	return f.state.View()
}

// signedBy are the validators of a height.
func (f *fabric) signedBy(height int64) []ledger.Power {
	if f.signers != nil {
		return f.signers(height)
	}
	return f.powers[max(0, height-2)]
}

func (f *fabric) setOf(height int64) *set {
	f.tb.Helper()
	s, err := newSet(f.signedBy(height))
	if err != nil {
		f.tb.Fatal(err)
	}
	return s
}

// sign is a transaction of from's.
func (f *fabric) sign(from string, body ledger.Body) []byte {
	f.txs++
	return ledger.SignTx(chain, f.now()+60_000+f.txs, body, keyOf("signing", from))
}

// make makes the next block of transactions and signs it.
func (f *fabric) make(txs ...[]byte) []ledger.Result {
	f.tb.Helper()
	if f.live != nil {
		return f.live.record(f.tb, txs)
	}
	height := f.height() + 1
	now := f.now()
	last, signed := types.BlockID{}, &types.Commit{}
	if height > 1 {
		last, signed = f.blocks[height-2].id, f.blocks[height-2].signed
	}
	b := types.MakeBlock(height, types.ToTxs(txs), signed, nil)
	root, by, after := f.state.Root(), f.setOf(height), f.setOf(height+1)
	b.ChainID, b.Time, b.LastBlockID = chain, time.UnixMilli(now).UTC(), last
	b.ValidatorsHash, b.NextValidatorsHash, b.ConsensusHash = by.hash, after.hash, make([]byte, 32)
	b.AppHash, b.LastResultsHash, b.ProposerAddress = root[:], f.results, by.Validators[0].Address
	if f.edit != nil {
		f.edit(b)
	}
	f.blocks = append(f.blocks, f.seal(b, by))
	out := f.apply(f.state.View(), ledger.Block{Height: height, Time: now, Txs: txs})
	f.store(height, out)
	f.results = hashOf(out.Results)
	return out.Results
}

// hashOf is what validators put into the next header.
func hashOf(results []ledger.Result) []byte {
	var out []*abci.ExecTxResult
	for _, r := range results {
		out = append(out, &abci.ExecTxResult{Code: uint32(r.Code), Log: r.Detail})
	}
	return types.NewResults(out).Hash()
}

// seal signs a block by all of a set.
func (f *fabric) seal(b *types.Block, by *set) madeBlock {
	f.tb.Helper()
	p, err := b.ToProto()
	if err != nil {
		f.tb.Fatal(err)
	}
	block, err := p.Marshal()
	if err != nil {
		f.tb.Fatal(err)
	}
	id := types.BlockID{Hash: b.Hash(), PartSetHeader: types.NewPartSetFromData(block, types.BlockPartSizeBytes).Header()}
	c := &types.Commit{Height: b.Height, BlockID: id}
	for _, v := range by.Validators {
		c.Signatures = append(c.Signatures, types.CommitSig{BlockIDFlag: types.BlockIDFlagCommit, ValidatorAddress: v.Address, Timestamp: b.Time.Add(time.Second)})
	}
	for i, v := range by.Validators {
		if c.Signatures[i].Signature, err = f.voter(v).Sign(c.VoteSignBytes(chain, int32(i))); err != nil {
			f.tb.Fatal(err)
		}
	}
	commit, err := c.ToProto().Marshal()
	if err != nil {
		f.tb.Fatal(err)
	}
	return madeBlock{block, commit, id, c, b.Header}
}

// voter is the consensus key of a validator.
func (f *fabric) voter(v *types.Validator) cmted.PrivKey {
	f.tb.Helper()
	for _, name := range append([]string{"v5", "v6", "v7", "v8", "mallory"}, validators...) {
		if k := cmted.PrivKey(keyOf("vote", name)); k.PubKey().Equals(v.PubKey) {
			return k
		}
	}
	f.tb.Fatalf("nobody has the consensus key of %v", v)
	return nil
}

// must makes a block of one transaction that is accepted.
func (f *fabric) must(from string, body ledger.Body) {
	f.tb.Helper()
	if r := f.make(f.sign(from, body))[0]; r.Code != ledger.OK {
		f.tb.Fatalf("%s's %T: code %d, %s", from, body, r.Code, r.Detail)
	}
}

// all makes one block of a body of each.
func (f *fabric) all(names []string, body func(name string) ledger.Body) {
	f.tb.Helper()
	var txs [][]byte
	for _, name := range names {
		txs = append(txs, f.sign(name, body(name)))
	}
	for i, r := range f.make(txs...) {
		if r.Code != ledger.OK {
			f.tb.Fatalf("%s's: code %d, %s", names[i], r.Code, r.Detail)
		}
	}
}

// ceremony takes one to its end.
func (f *fabric) ceremony(id ledger.Digest) {
	f.tb.Helper()
	y, ok := ledger.CeremonyOf(f.view(), id)
	if !ok {
		f.tb.Fatalf("no ceremony %x", id)
	}
	for stage := range y.Stages {
		f.all(y.Parties, func(p string) ledger.Body {
			return &ledger.Commit{Ceremony: id, Stage: uint8(stage), Promise: []byte("promise of " + p)}
		})
		f.all(y.Parties, func(p string) ledger.Body {
			r := &ledger.Reveal{Ceremony: id, Stage: uint8(stage)}
			if y.Stages[stage] == 1 {
				r.Inline = []byte("nonce of " + p)
				return r
			}
			for part := range y.Stages[stage] {
				r.Blobs = append(r.Blobs, digestOf(p, stage, part))
			}
			return r
		})
	}
	f.all(y.Parties, func(string) ledger.Body { return &ledger.KeyAck{Ceremony: id, Keys: digestOf("keys", id)} })
}

var loans = ledger.TaskID(chain, "loans")

// task makes keys and opens task loans, to which all companies consent.
func (f *fabric) task() *fabric {
	f.tb.Helper()
	f.must("ann", &ledger.OpenRoster{Epoch: 1, Parties: companies, Stages: []uint16{1, 2}})
	f.ceremony(ledger.BaseCeremony(chain, 1, 1))
	f.must("ann", &ledger.OpenTask{Name: "loans", Epoch: 1, Schema: []byte("age\ndefault"), Columns: 2, Nodes: nodes, Quorum: 2})
	f.all(companies, func(string) ledger.Body { return &ledger.Consent{Task: loans, Rows: 100, Validation: 10} })
	f.must("bob", &ledger.OpenKeySet{Task: loans, Packing: ledger.Packing{Width: 2, Baby: 1, Stack: 1}, Rotations: []int32{1, 2}, Stages: []uint16{2}})
	f.ceremony(ledger.KeySetCeremony(loans, 1))
	return f
}

// contribute records the rows of all companies, as the manifest of each says.
func (f *fabric) contribute(manifest func(company string) (ledger.Digest, uint64)) *fabric {
	f.tb.Helper()
	f.all(companies, func(c string) ledger.Body {
		x := &ledger.Contribute{Task: loans, Use: ledger.Training, Rows: 100, Commitment: digestOf("rows of", c), Blocks: 2}
		x.Manifest, x.Bytes = manifest(c)
		for _, n := range nodes {
			x.Held = append(x.Held, ledger.SignHeld(n, loans, c, x.Manifest, x.Bytes, keyOf("signing", n)))
		}
		return x
	})
	return f
}

// admit makes a block of so many queriers' admissions, about 280 bytes each.
func (f *fabric) admit(n int) *fabric {
	f.tb.Helper()
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("q%d-%d", f.txs, i))
	}
	var txs [][]byte
	for _, name := range names {
		txs = append(txs, f.sign(companies[len(txs)%len(companies)], &ledger.AdmitQuerier{Name: name, Signing: digestOf("signing", name), TLS: digestOf("tls", name),
			Task: loans, PublicKey: digestOf("key", name), Quota: 100}))
	}
	for _, r := range f.make(txs...) {
		if r.Code != ledger.OK {
			f.tb.Fatalf("code %d, %s", r.Code, r.Detail)
		}
	}
	return f
}

// replay re-executes blocks.
func replay(g ledger.Genesis, blocks []madeBlock) (*Replay, error) {
	r, err := NewReplay(g)
	for _, b := range blocks {
		if err == nil {
			err = r.Block(b.block, b.commit)
		}
	}
	return r, err
}
