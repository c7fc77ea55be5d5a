package home

import (
	"encoding/hex"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/commonseal/commonseal/ledger"
)

func TestMemberFileComesBack(t *testing.T) {
	dir := t.TempDir()
	for _, file := range members(t, dir) {
		m, err := ParseMember(file, []byte(read(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		if text := read(t, file); !strings.Contains(text, "name: "+m.Name) || !strings.Contains(text, hex.EncodeToString(m.TLS[:])) {
			t.Errorf("%s: %+v", file, m)
		}
	}
}

// Eve names ann's keys as her own. Were it believed, ann's process would be let
// in, and count, as Eve's.
func TestAttackAnothersKeys(t *testing.T) {
	dir := t.TempDir()
	ann, eve := keygen(t, dir, "ann", "Ann", ledger.Company), keygen(t, dir, "eve", "Eve", ledger.Company)
	of := func(file string) MemberFile {
		m, err := ParseMember(file, []byte(read(t, file)))
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	forged := of(eve)
	forged.TLS = of(ann).TLS
	keys, err := ReadKeys(dir + "/eve")
	if err != nil {
		t.Fatal(err)
	}
	b, err := forged.Append(nil, keys)
	if err != nil {
		t.Fatal(err)
	}
	m, err := parseMember("eve", b, false)
	if err != nil || m.TLS != of(ann).TLS {
		t.Fatalf("without signatures the attack fails: %v", err)
	}
	if _, err := ParseMember("eve", b); err == nil || !strings.Contains(err.Error(), "the key tls did not sign it") {
		t.Errorf("eve has ann's key: %v", err)
	}
}

// Whoever carries a file cannot change a letter of what it says.
func TestAttackEditedMemberFile(t *testing.T) {
	file := keygen(t, t.TempDir(), "val1", "Val", ledger.Validator)
	text := read(t, file)
	for _, edit := range [][2]string{
		{"name: val1", "name: val2"}, {"owner: Val", "owner: Eve"}, {"roles: [validator]", "roles: [validator, peer]"},
		{"address: val1", "address: val2"}, {"p2p: val1", "p2p: val2"},
	} {
		edited := strings.Replace(text, edit[0], edit[1], 1)
		if edited == text {
			t.Fatalf("no %q in %s", edit[0], text)
		}
		if _, err := parseMember("m", []byte(edited), false); err != nil {
			t.Fatalf("without signatures the attack fails: %v", err)
		}
		if _, err := ParseMember("m", []byte(edited)); err == nil {
			t.Errorf("%q is believed", edit[1])
		}
	}
}

func TestYAMLIsStrict(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"", "f: nothing in it"},
		{"# only this\n", "f: "},
		{"name: ann\nnme: ann\n", `f:2:1: unknown field "nme"`},
		{"name: ann\nname: bob\n", "f:2:1: "},
		{"name: &a ann\nowner: *a\n", "f:1:7: an anchor or alias"},
		{"name: ann\n---\nname: bob\n", "f: more than one document"},
		{"name: [\n", "f:1:"},
		{"name: [ann]\n", "f:1:"},
		{"signing: 12\n", "64 hexadecimal digits"},
		{"\x00", "f"},
		{strings.Repeat("[", 100_000), "hardly nested"},
		{strings.Repeat("- ", 50_000), "hardly nested"},
		{strings.Repeat("[", 500), "f:1:"},
		{strings.Repeat("#", 1<<18), "f: not a file of at most"},
	} {
		_, err := ParseMember("f", []byte(test.text))
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%.40q: %v, want %q", test.text, err, test.want)
		}
	}
}

func TestPolicy(t *testing.T) {
	dir := t.TempDir()
	name := dir + "/policy.yaml"
	p, err := ReadPolicy(write(t, name, PolicyExample))
	want := Policy{Tasks: []TaskPolicy{{Name: "churn", Data: dir + "/rows.csv", Label: "churned", MaxSteps: 100, MaxRate: 8, MaxDecay: 1, Columns: []string{"age", "visits"}, MinColumns: 2, MaxJobs: 50, Validation: 0.1}}, Trust: []string{"carol"}}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("the example: %+v, %v", p, err)
	}
	for _, test := range []struct{ before, after, want string }{
		{"name: churn ", "name: Churn ", `tasks[0]: name: "Churn" is not a name`},
		{"data: rows.csv", "data: ''", "tasks[0]: data: missing"},
		{"label: churned", "label: ''", "tasks[0]: label: missing"},
		{"local: false", "local: perhaps", ":6:12: "},
		{"local: false", "lokal: false", `:6:5: unknown field "lokal"`},
		{"max_steps: 100", "max_steps: 1001", "max_steps: 1001; give 1 to 1000"},
		{"max_steps: 100", "max_steps: 1.5", ":7:16: 1.5 is no whole number"},
		{"max_rate: 8", "max_rate: -1", "max_rate: -1"},
		{"max_rate: 8", "max_rate: .nan", "max_rate: NaN"},
		{"max_decay: 1", "max_decay: -0.5", "max_decay: -0.5"},
		{"min_columns: 2", "min_columns: 256", "min_columns: 256; give 0 to 255"},
		{"max_jobs: 50", "max_jobs: -1", "max_jobs: -1"},
		{"columns: [age, visits]", "columns: [age, '']", "columns: one has no name"},
		{"validation: 0.1", "validation: 0.6", "validation: 0.6; give a fraction up to 0.5"},
		{"abstain: false", "abstain: maybe", ":14:14: "},
		{"trust: [carol]", "trust: [Carol]", `trust[0]: "Carol" is not`},
		{"trust: [carol]", "tasks: []", ":17:1: "},
	} {
		write(t, name, PolicyExample)
		mend(t, name, test.before, test.after)
		if _, err := ReadPolicy(name); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%q: %v, want %q", test.after, err, test.want)
		}
	}
	if _, err := ReadPolicy(write(t, name, "tasks: []\n")); err == nil || !strings.Contains(err.Error(), "tasks: none") {
		t.Errorf("no tasks: %v", err)
	}
	os.Remove(name)
	if _, err := ReadPolicy(name); err == nil || !strings.Contains(err.Error(), "commonseal agent --help shows one") {
		t.Errorf("no policy: %v", err)
	}
}

// What a member file says comes back from a file that says it.
func FuzzParseMember(f *testing.F) {
	dir := f.TempDir()
	for _, file := range members(f, dir) {
		f.Add([]byte(read(f, file)))
	}
	f.Add([]byte("name: &a [*a]\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMember("f", b, false)
		if err != nil {
			return
		}
		keys, err := NewKeys(m.Roles)
		if err != nil {
			t.Fatal(err)
		}
		again, err := m.Append(nil, keys)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseMember("f", again, false); err != nil || back != m {
			t.Errorf("%+v comes back as %+v, %v, from\n%s", m, back, err, again)
		}
	})
}

func FuzzParseGenesis(f *testing.F) {
	dir := f.TempDir()
	genesis, _ := founded(f, dir, members(f, dir))
	f.Add([]byte(read(f, genesis)))
	f.Add([]byte(`{"app_state":""}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := ParseGenesis(b); err == nil && string(g.File) != string(b) {
			t.Errorf("another file than it was parsed from")
		}
	})
}
