package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/federation/checker"
	"github.com/commonseal/commonseal/he"
	"github.com/commonseal/commonseal/ledger"
)

// A savedFraud is a fraud proof on disk.
type savedFraud struct {
	path   string
	bytes  int64
	digest ledger.Digest
}

// saveFraud writes the fraud proof of a step to a file of dir, whole or not at
// all.
func saveFraud(ctx context.Context, client *clients.Client, job ledger.Digest, step uint16, dir string) (_ savedFraud, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return savedFraud{}, err
	}
	state, block, commit, err := client.Provable(ctx)
	if err != nil {
		return savedFraud{}, err
	}
	f, err := os.CreateTemp(dir, ".new-*")
	if err != nil {
		return savedFraud{}, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close(), os.Remove(f.Name()))
		}
	}()
	hash, buffered := sha256.New(), bufio.NewWriter(f)
	from := checker.Sources(ctx, state, job, he.Standard(), dialling(client))
	if err := checker.Collect(state, checker.Signed{Block: block, Commit: commit}, job, step, from, dir, io.MultiWriter(buffered, hash)); err != nil {
		return savedFraud{}, err
	}
	if err := errors.Join(buffered.Flush(), f.Chmod(0o644), f.Sync()); err != nil {
		return savedFraud{}, err
	}
	info, err := f.Stat()
	if err != nil {
		return savedFraud{}, err
	}
	out := savedFraud{path: filepath.Join(dir, fmt.Sprintf("%x-%d.fraud", job[:6], step)), bytes: info.Size(), digest: ledger.Digest(hash.Sum(nil))}
	if err := os.Rename(f.Name(), out.path); err != nil {
		return savedFraud{}, err
	}
	return out, f.Close()
}

// newAuditFraud verifies a fraud proof.
func newAuditFraud() *cobra.Command {
	var genesis string
	c := &cobra.Command{
		Use:   "fraud FILE --genesis genesis.json",
		Short: "Verify offline that a recorded training step or model is wrong",
		Long: `Verifies a fraud proof without a network and without a key: more than two thirds
of the validators that genesis.json names signed a state with the records that are
shown, these name the ciphertexts and keys in the file, and the step evaluated on
them is not what was recorded. It takes the memory that the step itself does.`,
		Example: `  commonseal audit fraud 5e041982ad5b-7.fraud --genesis genesis.json`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &usageError{fmt.Sprintf("give one fraud proof; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "genesis"); err != nil {
				return err
			}
			g, err := home.ReadGenesis(genesis)
			if err != nil {
				return err
			}
			f, err := verifyFraud(args[0], g.Genesis)
			if err != nil {
				return fmt.Errorf("%s does not verify: %w", args[0], err)
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), "verified     step %d of job %x of chain %s is wrong\ndiffers      %s\nrecorded by  %s\nsigned       the state before block %d, of %s, by more than 2/3 of %d validators\nshown with   %d bytes of ciphertexts and keys\nfingerprint  sha256:%x of %s\n",
				f.Step, f.Job[:6], g.Chain, f.Detail, strings.Join(f.Accused, ", "), f.Height, time.UnixMilli(f.Time).UTC().Format(time.RFC3339), len(g.Validators()), f.Bytes, g.Fingerprint(), genesis)
			return err
		},
	}
	c.Flags().StringVar(&genesis, "genesis", "", "what the consortium was founded on")
	return c
}

// verifyFraud verifies a file.
func verifyFraud(name string, g ledger.Genesis) (*checker.Finding, error) {
	profiles := he.Standard()
	if g.Train != profiles.Train.Digest() || g.Release != profiles.Release.Digest() {
		return nil, errors.New("the genesis has other parameters than this build; verify it with the version that the consortium runs")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file")
	}
	signed, err := clients.VerifyBlock(g)
	if err != nil {
		return nil, err
	}
	return checker.VerifyFraud(f, info.Size(), profiles, signed)
}

// digestOfFile is the SHA-256 of a file.
func digestOfFile(name string) (ledger.Digest, error) {
	f, err := os.Open(name)
	if err != nil {
		return ledger.Digest{}, err
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return ledger.Digest{}, err
	}
	return ledger.Digest(hash.Sum(nil)), nil
}
