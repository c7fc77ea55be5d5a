package audit

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/commonseal/commonseal/ledger"
	"github.com/commonseal/commonseal/ledger/gate"
)

// rotating are four of eight validators, another one every six blocks.
func rotating(height int64) (out []ledger.Power) {
	all := []string{"v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8"}
	for i := range int64(4) {
		name := all[(height/6+i)%int64(len(all))]
		out = append(out, ledger.Power{Name: name, Vote: publicOf("vote", name), Power: 1})
	}
	return out
}

// rotated is a chain whose validators change.
func rotated(tb testing.TB, blocks int) *fabric {
	f := newFabric(tb, consortium(4))
	f.signers = rotating
	for range blocks {
		f.make()
	}
	return f
}

func (f *fabric) point(height int64) Point {
	return Point{Height: height, Hash: ledger.Digest(f.blocks[height-1].id.Hash)}
}

// lightOf asks a primary and one witness, a second after the chain's last block.
func lightOf(f *fabric, primary gate.Endpoint, witnesses ...gate.Endpoint) LightConfig {
	return LightConfig{Chain: chain, Trust: f.point(1), Primary: primary, Witnesses: witnesses,
		Now: func() time.Time { return time.UnixMilli(f.now()) }}
}

// A light client goes past changes of the validators, asking for headers between as
// it must, and for no more.
func TestLight(t *testing.T) {
	f := rotated(t, 40)
	primary := f.door("v1")
	l, err := NewLight(t.Context(), lightOf(f, primary, f.door("v2")))
	if err != nil {
		t.Fatal(err)
	}
	for _, height := range []int64{3, 25, 17, 1, 0} {
		find := func() (*Trusted, error) { return l.At(t.Context(), height) }
		if height == 0 {
			find = func() (*Trusted, error) { return l.Latest(t.Context()) }
			height = 40
		}
		got, err := find()
		if err != nil || got.Point() != f.point(height) || got.Root() != ledger.Digest(f.blocks[height-1].header.AppHash) || got.Time() != founding+1000*(height-1) {
			t.Errorf("block %d: %v, %v", height, got, err)
		}
	}
	// None of those that sign block 25 signs block 3: it goes by the one in the middle.
	if asked := primary.Service.(*door).asked; !slices.Equal(asked, []int64{1, 3, 25, 14, 17, 1, 40}) {
		t.Errorf("it asked for the headers %v", asked)
	}
	if _, err := l.At(t.Context(), 41); err == nil {
		t.Error("a block that is not there")
	}
}

func TestLightRefuses(t *testing.T) {
	f := rotated(t, 20)
	other := *f.door("v2").Service.(*door)
	for _, test := range []struct {
		name   string
		change func(*LightConfig)
	}{
		{"no witness", func(c *LightConfig) { c.Witnesses = nil }},
		{"the primary as its own witness", func(c *LightConfig) { c.Witnesses = []gate.Endpoint{c.Primary} }},
		{"the primary by another name", func(c *LightConfig) { c.Witnesses = []gate.Endpoint{{Name: "v3", Service: c.Primary.Service}} }},
		{"the primary's name on another", func(c *LightConfig) { c.Witnesses = []gate.Endpoint{{Name: "v1", Service: &other}} }},
		{"another hash", func(c *LightConfig) { c.Trust.Hash[0]++ }},
		{"another chain", func(c *LightConfig) { c.Chain = "elsewhere" }},
		{"a height that is not there", func(c *LightConfig) { c.Trust.Height = 99 }},
	} {
		c := lightOf(f, f.door("v1"), f.door("v2"))
		test.change(&c)
		if _, err := NewLight(t.Context(), c); err == nil {
			t.Errorf("%s was accepted", test.name)
		}
	}
	c := lightOf(f, f.door("v1"), f.door("v2"))
	c.Trust = f.point(10)
	l, err := NewLight(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.At(t.Context(), 9); !errors.Is(err, ErrUntrusted) {
		t.Errorf("a block before the trusted one: %v, want %v", err, ErrUntrusted)
	}
	c.Period, c.Fresh = 2*time.Second, time.Hour
	if l, err = NewLight(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Latest(t.Context()); !errors.Is(err, ErrUntrusted) {
		t.Errorf("from an old header: %v, want %v", err, ErrUntrusted)
	}
}

// A witness that does not answer is left out, but one must.
func TestLightWithASilentWitness(t *testing.T) {
	f := rotated(t, 10)
	silent := f.door("v3")
	silent.Service.(*door).last = 2 // it has no block beyond
	l, err := NewLight(t.Context(), lightOf(f, f.door("v1"), silent, f.door("v2")))
	if err == nil {
		_, err = l.Latest(t.Context())
	}
	if err != nil {
		t.Errorf("one of two witnesses is behind: %v", err)
	}
	if l, err = NewLight(t.Context(), lightOf(f, f.door("v1"), silent)); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Latest(t.Context()); err == nil {
		t.Error("the only witness has no such block, and it was believed")
	}
}

func TestPoint(t *testing.T) {
	p := Point{Height: 12, Hash: digestOf("hash")}
	if got, err := ParsePoint(p.String()); err != nil || got != p {
		t.Errorf("ParsePoint(%q) = %v, %v", p, got, err)
	}
	for _, s := range []string{"", "12", "12:", "x:00", "0:" + p.String()[3:], "-1:" + p.String()[3:], "12:" + p.String()[3:] + "00"} {
		if got, err := ParsePoint(s); err == nil {
			t.Errorf("%q is %v", s, got)
		}
	}
}

// A checkpoint is good for what the same validators signed.
func TestCheckpoint(t *testing.T) {
	f := rotated(t, 20)
	header := func(height int64) ([]byte, []byte) {
		h, err := f.blocks[height-1].header.ToProto().Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return h, f.blocks[height-1].commit
	}
	made, err := FetchHeader(t.Context(), f.door("v1"), chain, 8)
	if err != nil {
		t.Fatal(err)
	}
	b, err := made.Checkpoint()
	if err != nil {
		t.Fatal(err)
	}
	trusted, err := OpenCheckpoint(b, f.point(8))
	if err != nil || trusted.Chain() != chain {
		t.Fatalf("OpenCheckpoint: %v", err)
	}
	if _, err := OpenCheckpoint(b, f.point(9)); !errors.Is(err, ErrMismatch) {
		t.Errorf("a checkpoint of another block: %v, want %v", err, ErrMismatch)
	}
	for height, want := range map[int64]error{6: nil, 8: nil, 11: nil, 5: ErrUntrusted, 12: ErrUntrusted} {
		if _, err := trusted.believe(header(height)); !errors.Is(err, want) {
			t.Errorf("block %d: %v, want %v", height, err, want)
		}
	}
	h, _ := header(8)
	_, c := header(9)
	if _, err := trusted.believe(h, c); !errors.Is(err, ErrMismatch) {
		t.Errorf("another block's commit: %v, want %v", err, ErrMismatch)
	}
}
