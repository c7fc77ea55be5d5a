package home

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"github.com/commonseal/commonseal/ledger"
)

// A marker is a key that is easily found in any text.
func marker() PrivateKey {
	return hold(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{0xa7}, ed25519.SeedSize)))
}

// shows says whether text has the marker in some form.
func shows(text string) bool {
	seed := bytes.Repeat([]byte{0xa7}, 8)
	return strings.Contains(text, string(seed)) ||
		strings.Contains(strings.ToLower(text), hex.EncodeToString(seed)) ||
		strings.Contains(text, base64.StdEncoding.EncodeToString(seed)[:9]) ||
		strings.Contains(text, "167 167 167") || strings.Contains(text, "167,167,167") || strings.Contains(text, "0xa7, 0xa7")
}

func TestKeysDoNotPrint(t *testing.T) {
	k := marker()
	if !shows(fmt.Sprint(k.Ed25519())) || !shows(fmt.Sprintf("%x", k.Ed25519())) || !shows(fmt.Sprintf("%#v", k.Ed25519())) {
		t.Fatal("a marker that is not found")
	}
	type others struct { // somebody else's struct, whose fields fmt reads without their methods
		key  PrivateKey
		Key  PrivateKey
		keys Keys
		Home Home
	}
	o := others{k, k, Keys{Signing: k, Vote: k}, Home{Keys: Keys{TLS: k}}}
	for _, v := range []any{k, &k, o, &o, []PrivateKey{k}, map[string]PrivateKey{"k": k}, o.Home, fmt.Errorf("with %v", k)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			if text := fmt.Sprintf(verb, v); shows(text) {
				t.Errorf("%s of %T shows the key: %s", verb, v, text)
			}
		}
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("m", "v", v)
		slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "v", v)
		asJSON, _ := json.Marshal(v)
		asYAML, _ := yaml.Marshal(v)
		if text := log.String() + string(asJSON) + string(asYAML); shows(text) {
			t.Errorf("%T shows the key: %s", v, text)
		}
	}
	if got := fmt.Sprint(k); got != "[secret]" {
		t.Errorf("a key prints %q", got)
	}
}

// Nothing of a home but keys/ has a private key in it, and no refusal either.
func TestKeysStayInTheirFolder(t *testing.T) {
	dir := t.TempDir()
	k := marker()
	m := MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Company, Signing: k.Public(), TLS: ledger.Key{1}}}
	b, err := m.Append(nil, Keys{Signing: k, TLS: k})
	if err != nil || shows(string(b)) {
		t.Errorf("the member file shows the key: %v\n%s", err, b)
	}
	name := filepath.Join(dir, "k.pem")
	if err := writeKey(name, k); err != nil {
		t.Fatal(err)
	}
	text := read(t, name)
	for at := range len(text) {
		write(t, name, text[:at]+"!"+text[at+1:])
		if _, err := readKey(name); err != nil && shows(err.Error()) {
			t.Errorf("byte %d: the refusal shows the key: %v", at, err)
		}
	}
}

func TestReadKeysRefuses(t *testing.T) {
	of := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, want string
		change     func(signing string)
	}{
		{"readable by the group", "may read it (mode 0640)", func(s string) { os.Chmod(s, 0o640) }},
		{"readable by all", "may read it (mode 0604)", func(s string) { os.Chmod(s, 0o604) }},
		{"missing", "no such file", func(s string) { os.Remove(s) }},
		{"empty", "not one private key in PEM", func(s string) { write(t, s, "") }},
		{"two keys", "not one private key in PEM", func(s string) { write(t, s, of(marker().Ed25519())+of(marker().Ed25519())) }},
		{"another kind", "not an Ed25519 key", func(s string) { write(t, s, of(other)) }},
		{"one of two validator's keys", "validators have both", func(s string) { write(t, filepath.Join(filepath.Dir(s), "vote.pem"), of(marker().Ed25519())) }},
		{"in order", "", func(s string) { write(t, s, of(marker().Ed25519())) }},
	} {
		dir := filepath.Dir(keygen(t, t.TempDir(), "ann", "Ann", ledger.Company))
		test.change(filepath.Join(dir, "keys", "signing.pem"))
		_, err := ReadKeys(dir)
		if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestKeygen(t *testing.T) {
	dir := t.TempDir()
	file := keygen(t, dir, "ann", "Ann", ledger.Company)
	before, err := ReadKeys(filepath.Dir(file))
	if err != nil {
		t.Fatal(err)
	}
	if before.Vote.Public() != (ledger.Key{}) || before.Signing.Public() == before.TLS.Public() {
		t.Error("a company votes, or has one key twice")
	}
	for _, name := range []string{"signing", "tls"} {
		info, err := os.Stat(filepath.Join(dir, "ann", "keys", name+".pem"))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	m := MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Company}}
	if _, err := Keygen(filepath.Join(dir, "ann"), m); err == nil || !strings.Contains(err.Error(), "never overwritten") {
		t.Errorf("keygen twice: %v", err)
	}
	if after, err := ReadKeys(filepath.Dir(file)); err != nil || after.Signing.Public() != before.Signing.Public() {
		t.Errorf("keygen twice changed the keys: %v", err)
	}
	for _, test := range []struct {
		want string
		m    MemberFile
	}{
		{"its name is not", MemberFile{Member: ledger.Member{Name: "../ann", Owner: "Ann", Roles: ledger.Company}}},
		{"its owner is not 1 to 64 bytes", MemberFile{Member: ledger.Member{Name: "ann", Roles: ledger.Company}}},
		{"only aggregators and validators are dialled", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Company, Address: "a:1"}}},
		{"it has no address", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Aggregator}}},
		{"is not HOST:PORT", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Aggregator, Address: ":1"}}},
		{"the port of", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Aggregator, Address: "a:99999"}}},
		{"its address for validators", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Validator, Address: "a:1"}}},
		{"are the same", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Validator, Address: "a:1"}, P2P: "a:1"}},
		{"and is none", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Company}, P2P: "a:1"}},
		{"one process plays one of", MemberFile{Member: ledger.Member{Name: "ann", Owner: "Ann", Roles: ledger.Aggregator | ledger.Validator, Address: "a:1"}, P2P: "a:2"}},
	} {
		home := filepath.Join(t.TempDir(), "h")
		if _, err := Keygen(home, test.m); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("keygen %+v: %v, want %q", test.m, err, test.want)
		}
		if _, err := os.Stat(home); err == nil {
			t.Errorf("keygen refused %q and left a home", test.want)
		}
	}
}
