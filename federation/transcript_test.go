package federation_test

import (
	"bufio"
	"crypto/ed25519"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/federation"
	"github.com/commonseal/commonseal/ledger"
)

var rewrite = flag.Bool("rewrite", false, "write what came out into the transcripts")

// TestTranscripts plays testdata/*.txt. A line is a command, and the lines
// below it that begin with two spaces are what comes of it:
//
//	found MODE [rich|checked|wide] a consortium of ann, bob, cal (local), north, south; one that pays, one whose steps are all sampled, one that pays and is challenged
//	NAME says BODY …               a transaction; a refusal is printed
//	all say BODY …                 by every company
//	NAME holds WHO KIND STEP       a post of WHO's, with its blob
//	NAME did KEY                   a duty that was carried out; KEY as it was printed
//	later MS                       block time passes
//	duties NAME                    what it owes now
//	trust NAME NODE                ann's policy
//
// Commit a rewritten transcript only if you understand every line that changed.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(b))
			if *rewrite {
				err = os.WriteFile(name, []byte(got), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
			if !*rewrite && got != string(b) {
				t.Errorf("%s: what comes out differs; run go test ./federation -rewrite and read the change:\n%s", name, got)
			}
		})
	}
}

// A stage is a ledger and what each actor holds.
type stage struct {
	t     *testing.T
	state *ledger.Memory
	now   int64
	said  int64
	trust map[string]federation.Trust
	has   map[string]*holding
}

// A holding is what an actor has.
type holding struct {
	done  map[string]bool
	posts map[string]ledger.Post
}

func (h *holding) Done(key string) bool { return h.done[key] }

func (h *holding) Post(scope ledger.Digest, kind ledger.PostKind, step, index uint16, sender ledger.Key) (ledger.Post, bool) {
	p, ok := h.posts[string(ledger.Post{Scope: scope, Kind: kind, Step: step, Index: index, Sender: sender}.Key())]
	return p, ok
}

func play(t *testing.T, script string) string {
	s := &stage{t: t}
	var out strings.Builder
	lines := bufio.NewScanner(strings.NewReader(script))
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "  ") {
			continue
		}
		out.WriteString(line + "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		for _, came := range s.do(strings.Fields(line)) {
			out.WriteString("  " + came + "\n")
		}
	}
	return out.String()
}

func private(name string) ed25519.PrivateKey {
	seed := ledger.Hash("transcript", []byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func public(name string) ledger.Key {
	return ledger.Key(private(name).Public().(ed25519.PublicKey))
}

func digest(parts ...any) ledger.Digest {
	return ledger.Hash("transcript/digest", []byte(fmt.Sprint(parts...)))
}

var companies, nodes = []string{"ann", "bob", "cal"}, []string{"north", "south"}

func (s *stage) found(mode, money string) {
	g := ledger.Genesis{Chain: "chain", Train: digest("train"), Release: digest("release"), Serve: digest("serve"), Mode: ledger.Quorum, Quorum: 2, Patience: 60_000}
	if mode == "strict" {
		g.Mode = ledger.Strict
	}
	switch money {
	case "rich":
		g.Money, g.RewardEpoch = ledger.Money{Grant: 1000, Bond: 100, Emission: 100, Slash: ledger.Million}, 100_000
	case "wide":
		g.Money, g.RewardEpoch = ledger.Money{Grant: 1000, Bond: 100, Emission: 100, Slash: ledger.Million, Challenge: 10, Window: 400_000}, 100_000
	case "checked":
		g.Money = ledger.Money{Grant: 1000, Bond: 100, Slash: ledger.Million / 2, Challenge: 10, Window: 60_000, Sample: ledger.Million}
	}
	add := func(name string, roles ledger.Roles) {
		m := ledger.Member{Name: name, Owner: name + " ltd", Roles: roles, Signing: public(name), TLS: public(name + "/tls")}
		if roles.Has(ledger.Aggregator) || roles.Has(ledger.Validator) {
			m.Address = name + ":1"
		}
		if roles.Has(ledger.Validator) {
			m.Vote = public(name + "/vote")
		}
		g.Members = append(g.Members, m)
	}
	for _, c := range companies {
		add(c, ledger.Company)
	}
	for _, n := range nodes {
		add(n, ledger.Aggregator)
	}
	add("val", ledger.Validator)
	add("peer", ledger.ModelPeer)
	writes, err := g.Writes()
	if err != nil {
		s.t.Fatal(err)
	}
	s.state, s.now, s.trust, s.has = new(ledger.Memory), 1_000_000, map[string]federation.Trust{}, map[string]*holding{}
	s.state.Write(writes)
	for _, m := range g.Members {
		s.has[m.Name] = &holding{map[string]bool{}, map[string]ledger.Post{}}
	}
}

// do carries out one command and returns what comes of it.
func (s *stage) do(words []string) []string {
	s.t.Helper()
	switch {
	case words[0] == "found":
		s.found(words[1], strings.Join(words[2:], " "))
	case words[0] == "duties":
		return s.duties(words[1])
	case words[0] == "later":
		ms, err := strconv.ParseInt(words[1], 10, 64)
		if err != nil {
			s.t.Fatal(err)
		}
		s.now += ms
	case words[0] == "trust":
		s.trust[words[1]] = federation.Trust{Nodes: words[2:]}
	case words[0] == "all" && words[1] == "say":
		var out []string
		for _, c := range companies {
			out = append(out, s.says(c, words[2:])...)
		}
		return out
	case words[1] == "says":
		return s.says(words[0], words[2:])
	case words[1] == "did":
		s.has[words[0]].done[words[2]] = true
	case words[1] == "holds":
		s.holds(words[0], words[2:])
	default:
		s.t.Fatalf("what is %q?", words)
	}
	return nil
}

func (s *stage) says(name string, words []string) []string {
	s.t.Helper()
	s.now, s.said = s.now+1000, s.said+1
	tx := ledger.SignTx("chain", s.now+60_000+s.said, s.body(name, words), private(name))
	out := ledger.Apply(s.state, ledger.Block{Height: s.said, Time: s.now, Txs: [][]byte{tx}})
	s.state.Write(out.Writes)
	if r := out.Results[0]; r.Code != ledger.OK {
		return []string{fmt.Sprintf("%s is refused (code %d): %s", name, r.Code, r.Detail)}
	}
	return nil
}

func (s *stage) duties(name string) []string {
	var owed []federation.Duty
	if slices.Contains(nodes, name) {
		owed = federation.NodeDuties(s.state, name, s.now, s.has[name])
	} else if m, _ := ledger.MemberOf(s.state, name); !m.Roles.Has(ledger.Company) {
		owed = federation.CheckerDuties(s.state, name, s.now, s.has[name])
	} else {
		owed = federation.CompanyDuties(s.state, name, s.now, s.trust[name], s.has[name])
	}
	if len(owed) == 0 {
		return []string{"nothing"}
	}
	var out []string
	for _, d := range owed {
		out = append(out, d.Key())
	}
	return out
}

// holds puts a post into an actor's hands: "ann share 0", "north output 0".
func (s *stage) holds(name string, words []string) {
	kind := map[string]ledger.PostKind{"share": ledger.PostShare, "opening": ledger.PostOpening, "output": ledger.PostOutput, "update": ledger.PostUpdate}[words[1]]
	step, err := strconv.ParseUint(words[2], 10, 16)
	if err != nil || kind == 0 {
		s.t.Fatalf("what is %q?", words)
	}
	blob := digest(words[1:])
	if len(words) > 3 {
		blob = digest(words[3])
	}
	p := ledger.Post{Chain: "chain", Epoch: 1, Scope: s.job().ID, Kind: kind, Step: uint16(step), Sender: public(words[0]), Blob: blob, Size: 1}
	s.has[name].posts[string(p.Key())] = p
}

func (s *stage) job() *ledger.Job {
	jobs := ledger.Jobs(s.state)
	if len(jobs) == 0 {
		s.t.Fatal("there is no job")
	}
	return &jobs[0]
}
