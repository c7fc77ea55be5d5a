package incentive

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// integers is a list that must be of integers.
func integers(name string, in []number) ([]*big.Int, error) {
	out := make([]*big.Int, len(in))
	for i, n := range in {
		var err error
		if out[i], err = n.integer(fmt.Sprintf("%s[%d]", name, i)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func integerRows(name string, in [][]number) ([][]*big.Int, error) {
	out := make([][]*big.Int, len(in))
	for i, row := range in {
		var err error
		if out[i], err = integers(fmt.Sprintf("%s[%d]", name, i), row); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// gramValues are 2φ, held against the definition if there are few enough players.
func gramValues(pIn []number, gIn [][]number) (p []*big.Int, g [][]*big.Int, values []*big.Int, err error) {
	if p, err = integers("p", pIn); err != nil {
		return nil, nil, nil, err
	}
	if g, err = integerRows("G", gIn); err != nil {
		return nil, nil, nil, err
	}
	if values, err = Values(p, g); err != nil || len(p) > 8 {
		return p, g, values, err
	}
	for name, solve := range map[string]func(int, Game) ([]*big.Rat, error){"shapley": Shapley, "banzhaf": Banzhaf} {
		defined, err := solve(len(p), GramGame(p, g))
		if err != nil {
			return nil, nil, nil, err
		}
		for i, x := range defined {
			if x.Cmp(new(big.Rat).SetFrac(values[i], big.NewInt(2))) != 0 {
				return nil, nil, nil, fmt.Errorf("the %s value of player %d is %s, the closed form says %v/2", name, i, x.RatString(), values[i])
			}
		}
	}
	return p, g, values, nil
}

func (v vector) gramShapley() error {
	var in struct {
		P []number
		G [][]number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	_, _, values, err := gramValues(in.P, in.G)
	if err != nil {
		return err
	}
	return v.all(func(name string, raw json.RawMessage) error {
		switch name {
		case "two_phi":
			return v.sameInts(name, values, raw)
		case "two_vN":
			return v.sameNumber(name, new(big.Rat).SetInt(total(values)), raw)
		}
		return unknown(name)
	})
}

func total(in []*big.Int) *big.Int {
	out := new(big.Int)
	for _, x := range in {
		out.Add(out, x)
	}
	return out
}

// splitIdentity holds the parts of one provider to be worth what it is, and the
// others to be worth what they were.
func (v vector) splitIdentity() error {
	var in struct {
		P      []number
		G      [][]number
		PSplit []number   `json:"p_split"`
		GSplit [][]number `json:"G_split"`
	}
	var fields map[string]json.RawMessage
	if err := errors.Join(v.read(&in), v.read(&fields)); err != nil {
		return err
	}
	_, _, whole, err := gramValues(in.P, in.G)
	if err != nil {
		return err
	}
	_, _, parted, err := gramValues(in.PSplit, in.GSplit)
	if err != nil {
		return fmt.Errorf("after the split: %w", err)
	}
	for _, name := range sortedKeys(fields) {
		of, found := strings.CutPrefix(name, "parts_of_")
		if !found {
			continue
		}
		owner, err := strconv.Atoi(of)
		var parts []int
		if err = errors.Join(err, json.Unmarshal(fields[name], &parts)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := splitNeutral(whole, parted, owner, parts); err != nil {
			return err
		}
	}
	return v.all(func(name string, raw json.RawMessage) error {
		switch name {
		case "two_phi":
			return v.sameInts(name, whole, raw)
		case "two_phi_split":
			return v.sameInts(name, parted, raw)
		}
		return unknown(name)
	})
}

func splitNeutral(whole, parted []*big.Int, owner int, parts []int) error {
	if owner < 0 || owner >= len(whole) {
		return fmt.Errorf("parts of provider %d of %d", owner, len(whole))
	}
	sum := new(big.Int)
	var others []*big.Int
	for i, x := range parted {
		if slices.Contains(parts, i) {
			sum.Add(sum, x)
		} else {
			others = append(others, x)
		}
	}
	if sum.Cmp(whole[owner]) != 0 {
		return fmt.Errorf("the parts of provider %d are worth %v/2, it was %v/2", owner, sum, whole[owner])
	}
	unchanged := slices.Delete(slices.Clone(whole), owner, owner+1)
	if !slices.EqualFunc(others, unchanged, func(a, b *big.Int) bool { return a.Cmp(b) == 0 }) {
		return errors.New("the split changed what others are worth")
	}
	return nil
}

func (v vector) duplicate() error {
	var in struct {
		P       []number
		G       [][]number
		Theta   *[2]int64
		Heights []uint64 // of commitments; the order of providers if missing
	}
	if err := v.read(&in); err != nil {
		return err
	}
	p, g, raw, err := gramValues(in.P, in.G)
	if err != nil {
		return err
	}
	theta := value(in.Theta, [2]int64{99, 100})
	if in.Heights == nil {
		in.Heights = make([]uint64, len(p))
	}
	clusters, credit, err := quotientValues(p, g, Cosine{Num: theta[0], Den: theta[1]}, in.Heights)
	if err != nil {
		return err
	}
	return v.all(func(name string, want json.RawMessage) error {
		switch name {
		case "two_phi_raw":
			return v.sameInts(name, raw, want)
		case "clusters":
			return sameClusters(clusters.Members(), want)
		case "two_phi_quotient_clusters":
			var ofClusters []*big.Int
			for _, members := range clusters.Members() {
				ofClusters = append(ofClusters, credit[clusters[members[0]]])
			}
			return v.sameInts(name, ofClusters, want)
		case "two_phi_quotient", "two_phi_credit":
			return v.sameInts(name, credit, want)
		}
		return unknown(name)
	})
}

// quotientValues merges near-copies, and is what each provider is credited with.
func quotientValues(p []*big.Int, g [][]*big.Int, bound Cosine, heights []uint64) (Clusters, []*big.Int, error) {
	copies, err := bound.NearCopies(g)
	if err != nil {
		return nil, nil, err
	}
	if len(heights) != len(p) {
		return nil, nil, fmt.Errorf("%d heights for %d providers", len(heights), len(p))
	}
	clusters, err := Merge(heights, copies)
	if err != nil {
		return nil, nil, err
	}
	qp, qg, roots, err := clusters.Quotient(p, g)
	if err != nil {
		return nil, nil, err
	}
	values, err := Values(qp, qg)
	if err != nil {
		return nil, nil, err
	}
	phi := make([]*big.Int, len(p))
	for k, root := range roots {
		phi[root] = values[k]
	}
	credit, err := Credit(phi, clusters)
	return clusters, credit, err
}

func sameClusters(got [][]int, raw json.RawMessage) error {
	var want [][]int
	if err := json.Unmarshal(raw, &want); err != nil {
		return fmt.Errorf("expect clusters: %w", err)
	}
	if !slices.EqualFunc(got, want, slices.Equal[[]int]) {
		return fmt.Errorf("clusters are %v, want %v", got, want)
	}
	return nil
}

func (v vector) largestRemainder() error {
	var in struct {
		Pot     number
		Weights []number
		Keys    []string
	}
	if err := v.read(&in); err != nil {
		return err
	}
	pot, err := in.Pot.integer("pot")
	if err != nil {
		return err
	}
	weights, err := integers("weights", in.Weights)
	if err != nil {
		return err
	}
	if in.Keys != nil && len(in.Keys) != len(weights) {
		return fmt.Errorf("%d keys for %d weights", len(in.Keys), len(weights))
	}
	if pot.Sign() < 0 || slices.ContainsFunc(weights, func(w *big.Int) bool { return w.Sign() < 0 }) {
		return errors.New("a pot or weight below zero cannot be divided")
	}
	pay := divide(pot, weights, func(a, b int) int {
		if in.Keys == nil {
			return a - b
		}
		return strings.Compare(in.Keys[a], in.Keys[b])
	})
	return v.only("pay", func(raw json.RawMessage) error { return v.sameInts("pay", pay, raw) })
}

// merged matches the expectation for the game in which the last players are one.
var merged = regexp.MustCompile(`^honest_(\d+)_players$`)

func (v vector) generalShapley() error {
	var in struct {
		N      int
		Values map[string]number
	}
	if err := v.read(&in); err != nil {
		return err
	}
	if in.N < 0 || in.N > MostPlayers {
		return fmt.Errorf("%d players, at most %d", in.N, MostPlayers)
	}
	values := map[uint]*big.Rat{}
	for _, name := range sortedKeys(in.Values) {
		coalition, err := players(name, in.N)
		if err != nil {
			return err
		}
		values[coalition] = in.Values[name].or(0)
	}
	game := func(s uint) (*big.Rat, error) {
		if v := values[s]; v != nil {
			return v, nil
		}
		return new(big.Rat), nil // coalitions that are not listed are worth nothing
	}
	return v.all(func(name string, raw json.RawMessage) error {
		n, solve, played := in.N, Shapley, Game(game)
		if m := merged.FindStringSubmatch(name); m != nil {
			n, _ = strconv.Atoi(m[1])
			if n < 1 || n > in.N {
				return fmt.Errorf("%s of %d", name, in.N)
			}
			rest := uint(1)<<in.N - uint(1)<<(n-1) // the players that are one
			played = func(s uint) (*big.Rat, error) {
				if s>>(n-1)&1 == 1 {
					s |= rest
				}
				return game(s)
			}
		} else if name == "banzhaf" {
			solve = Banzhaf
		} else if name != "shapley" {
			return unknown(name)
		}
		got, err := solve(n, played)
		if err != nil {
			return err
		}
		return v.sameRats(name, got, raw)
	})
}

// players reads a coalition, such as "0,2".
func players(name string, n int) (uint, error) {
	var out uint
	if strings.TrimSpace(name) == "" {
		return 0, nil
	}
	for text := range strings.SplitSeq(name, ",") {
		i, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || i < 0 || i >= n {
			return 0, fmt.Errorf("coalition %q; players are 0 to %d", name, n-1)
		}
		out |= 1 << i
	}
	return out, nil
}
