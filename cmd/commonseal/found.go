package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
)

// newFound makes a consortium of what its members sent.
func newFound() *cobra.Command {
	var out, start string
	c := &cobra.Command{
		Use:   "found consortium.yaml MEMBER.member.yaml...",
		Short: "Found a consortium on its members' files",
		Long: `Checks what the members sent, reports everything that is wrong at once, and
writes genesis.json and network.yaml. Send both to every member. The fingerprint
is what members compare by another way, by phone say: who has the same has the
same consortium.

consortium.yaml:

` + indent(home.ConsortiumExample),
		Example: `  commonseal found consortium.yaml *.member.yaml --out founded
  commonseal found consortium.yaml *.member.yaml --time 2026-01-01T00:00:00Z`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) < 2 {
				return &usageError{fmt.Sprintf("give consortium.yaml and the members' files; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			at := time.Now()
			if start != "" {
				var err error
				if at, err = time.Parse(time.RFC3339, start); err != nil {
					return &usageError{fmt.Sprintf("--time is %q; give it as 2026-01-01T00:00:00Z", start)}
				}
			}
			f, err := home.Found(args[0], args[1:], at)
			var problems home.Problems
			if errors.As(err, &problems) {
				for _, p := range problems {
					fmt.Fprintf(c.ErrOrStderr(), "commonseal: %v\n", p)
				}
				return fmt.Errorf("%d to mend; nothing was written", len(problems))
			}
			if err != nil {
				return err
			}
			if err := f.Write(out); err != nil {
				return err
			}
			return tellFounding(c, &f, out)
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&out, "out", ".", "folder for genesis.json and network.yaml")
	f.StringVar(&start, "time", "", "when the chain starts, unless consortium.yaml says it (default now)")
	return c
}

func tellFounding(c *cobra.Command, f *home.Founding, out string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "consortium %s, from %s\n", f.Genesis.Chain, f.Genesis.Start.Format(time.RFC3339))
	for _, m := range f.Genesis.Members {
		fmt.Fprintf(&b, "  %-20s %-20s %s\n", m.Name, m.Owner, strings.Join(home.RoleNames(m.Roles), ", "))
	}
	b.WriteString(f.Genesis.Promise())
	fmt.Fprintf(&b, "fingerprint  sha256:%x\n", f.Genesis.Fingerprint())
	fmt.Fprintf(&b, "wrote        %s and %s: send both to every member\n",
		filepath.Join(out, home.GenesisFile), filepath.Join(out, home.NetworkFile))
	_, err := fmt.Fprint(c.OutOrStdout(), b.String())
	return err
}

// newJoin puts a consortium into a member's home.
func newJoin() *cobra.Command {
	var dir string
	var places home.Places
	c := &cobra.Command{
		Use:   "join --home DIR genesis.json network.yaml",
		Short: "Join a consortium that was founded with this home's member file",
		Long: `Checks that the genesis has this home's member with this home's keys, and writes
genesis.json and node.yaml into the home. Compare the fingerprint with the
founder's by another way, by phone say, before anything is started.`,
		Example: `  commonseal join --home ann genesis.json network.yaml
  commonseal join --home val genesis.json network.yaml --monitor 127.0.0.1:9101`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 2 {
				return &usageError{fmt.Sprintf("give genesis.json and network.yaml; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			h, err := home.Join(dir, args[0], args[1], places)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), `joined       %s as %s (%s), %s
fingerprint  sha256:%x: compare it with the founder's, by phone
next         %s
`, h.Genesis.Chain, h.Member.Name, h.Member.Owner, strings.Join(h.Node.Roles, ", "), h.Genesis.Fingerprint(), startHint(h))
			return err
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "folder that keygen made")
	f.StringVar(&places.Monitor, "monitor", "", "loopback HOST:PORT of health and metrics (default a free port, which status finds)")
	f.DurationVar(&places.TimeoutCommit, "timeout-commit", time.Second, "how long a validator waits for the last votes on a block")
	return c
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ")
}
