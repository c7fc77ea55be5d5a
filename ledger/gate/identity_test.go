package gate

import (
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// stateOf is what a handshake with certificates tells the other side.
func stateOf(tb testing.TB, certs ...*tls.Certificate) (state tls.ConnectionState) {
	tb.Helper()
	for _, c := range certs {
		cert, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			tb.Fatal(err)
		}
		state.PeerCertificates = append(state.PeerCertificates, cert)
	}
	return state
}

func TestCertificatesAreRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		id := identity(t, "ann")
		made := map[string]bool{}
		for range 24 * 10 { // ten days, an hour at a time
			cert, err := id.certificate()
			if err != nil {
				t.Fatal(err)
			}
			made[string(cert.Certificate[0])] = true
			// Every connection opened now ends before its certificate does, and
			// peers' clocks may be an hour off.
			for _, at := range []time.Duration{-time.Hour, 0, time.Hour, connTime + connGrace + time.Hour} {
				key, err := readCertificate(stateOf(t, cert), time.Now().Add(at), 0)
				if err != nil || key != id.Key() {
					t.Fatalf("at %s: %v", at, err)
				}
			}
			pause(t.Context(), time.Hour)
		}
		if n := len(made); n < 20 || n > 30 {
			t.Errorf("%d certificates in ten days", n)
		}
	})
}

// TestClockJumpsBack has the clock go back by more than a day.
func TestClockJumpsBack(t *testing.T) {
	id := identity(t, "ann")
	id.ends = id.ends.Add(48 * time.Hour) // made the day after tomorrow, it seems
	cert, err := id.certificate()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readCertificate(stateOf(t, cert), time.Now(), 0); err != nil {
		t.Error(err)
	}
}

func TestReadCertificateRefuses(t *testing.T) {
	now := time.Now()
	ann, err := certify(private("ann"), now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	bob, err := certify(private("bob"), now.Add(-time.Hour), now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	swapped := stateOf(t, ann)
	swapped.PeerCertificates[0].PublicKey = private("eve").Public() // as if it said so, with ann's signature
	for _, test := range []struct {
		name  string
		state tls.ConnectionState
		want  string
	}{
		{"none", stateOf(t), "0 certificates"},
		{"a chain", stateOf(t, ann, bob), "2 certificates"},
		{"signed by another key", swapped, "not signed by its own key"},
	} {
		if _, err := readCertificate(test.state, now, 0); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.name, err, test.want)
		}
	}
}

func TestIdentityPrintsNoSecret(t *testing.T) {
	key := private("ann")
	id, err := NewIdentity(key)
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"%v", "%+v", "%s", "%x"} {
		if text := fmt.Sprintf(format, id); strings.Contains(text, fmt.Sprintf("%x", key.Seed())) {
			t.Errorf("%s prints the key", format)
		}
	}
	if _, err := NewIdentity(ed25519.PrivateKey(key.Seed())); err == nil {
		t.Error("a key of half the size")
	}
}
