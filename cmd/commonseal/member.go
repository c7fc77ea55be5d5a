package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/clients"
	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// newMember lets members in and shuts them out after the founding.
func newMember() *cobra.Command {
	c := &cobra.Command{
		Use:   "member",
		Short: "Ask to join after the founding, approve who asks, shut a member out",
		Long: `A consortium takes members after its founding by the votes of its companies: more
than half of their owners. The newcomer asks with a file, any company hands it in
by approving it, the others approve it by its name.`,
		Example: `  commonseal member join --home val5 genesis.json network.yaml
  commonseal member approve --home ann val5/val5.join
  commonseal member approve --home bob val5
  commonseal validator --home val5`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(newMemberJoin(), newMemberApprove(), newMemberRevoke())
	return c
}

// asking is how long a file that asks to join is good for: less than a transaction
// may be ahead of its block, whose time is behind the clock.
const asking = 8 * time.Minute

func newMemberJoin() *cobra.Command {
	var dir string
	var places home.Places
	c := &cobra.Command{
		Use:   "join --home DIR [genesis.json network.yaml]",
		Short: "Ask to join a consortium that was founded without this member",
		Long: `Puts the consortium into the home, as join does, and writes DIR/NAME.join: send it
to a company of the consortium at once, it is good for eight minutes. Without files
it asks again. Compare the fingerprint with a member's by another way.`,
		Example: `  commonseal member join --home val5 genesis.json network.yaml
  commonseal member join --home val5`,
		Args: func(c *cobra.Command, args []string) error {
			if len(args) != 0 && len(args) != 2 {
				return &usageError{fmt.Sprintf("give genesis.json and network.yaml, or nothing to ask again; run %s --help", c.CommandPath())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			h, err := askingHome(dir, args, places)
			if err != nil {
				return err
			}
			name := filepath.Join(dir, h.Member.Name+".join")
			tx := ledger.SignTx(h.Genesis.Chain, time.Now().Add(asking).UnixMilli(), &ledger.Join{Member: h.Member}, h.Keys.Signing.Ed25519())
			if err := os.WriteFile(name, tx, 0o644); err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), `asks         as %s (%s), %s, of %s
fingerprint  sha256:%x: compare it with a member's, by phone
request      %s: send it to a company within eight minutes; it runs commonseal member approve --home ITS-HOME %s
next         %s
`, h.Member.Name, h.Member.Owner, strings.Join(h.Node.Roles, ", "), h.Genesis.Chain, h.Genesis.Fingerprint(), name, filepath.Base(name), startHint(h))
			return err
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "folder that keygen made")
	f.StringVar(&places.Monitor, "monitor", "", "loopback HOST:PORT of health and metrics (default a free port, which status finds)")
	f.StringVar(&places.Trust, "trust", "", "HEIGHT:HASH of a block, told by a member whose validator's status has it (default block 1, as the founders signed it)")
	f.DurationVar(&places.TimeoutCommit, "timeout-commit", time.Second, "how long a validator waits for the last votes on a block")
	return c
}

// askingHome is the home of who asks to join, for the first time or again.
func askingHome(dir string, files []string, places home.Places) (*home.Home, error) {
	if len(files) == 2 {
		return home.JoinLater(dir, files[0], files[1], places)
	}
	h, err := home.Open(dir)
	if err == nil && !h.Node.Late {
		err = fmt.Errorf("%s is of %s, with whom %s was founded: it need not ask", dir, h.Member.Name, h.Genesis.Chain)
	}
	return h, err
}

// oneName takes the name of a member, or of a file.
func oneName(c *cobra.Command, args []string) error {
	if len(args) != 1 {
		return &usageError{fmt.Sprintf("give one name; run %s --help", c.CommandPath())}
	}
	return nil
}

func newMemberApprove() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "approve --home DIR NAME|FILE.join",
		Short: "Vote for a newcomer; the first company gives the file that came",
		Example: `  commonseal member approve --home ann val5.join
  commonseal member approve --home bob val5`,
		Args: oneName,
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, _ *home.Home, client *clients.Client) error {
				r, err := request(ctx, client, args[0])
				if err != nil {
					return err
				}
				if _, err := client.Record(ctx, &ledger.Approve{Join: r.Join}); err != nil {
					return err
				}
				_, err = fmt.Fprintf(c.OutOrStdout(), "approved     %s (%s), %s\n%s", r.Member.Name, r.Member.Owner, strings.Join(home.RoleNames(r.Member.Roles), ", "), tally(client.View(), r))
				return err
			})
		},
	}
	c.Flags().StringVar(&dir, "home", "", "home of a company")
	return c
}

// tally is how a vote for a newcomer stands.
func tally(v ledger.View, r ledger.Request) string {
	if _, ok := ledger.MemberOf(v, r.Member.Name); ok {
		return "admitted     yes; its process may start\n"
	}
	votes := 1
	for _, waiting := range ledger.Requests(v) {
		if waiting.Join == r.Join {
			votes = len(waiting.For)
		}
	}
	return fmt.Sprintf("admitted     not yet: %d of %d owners are for it, more than half admit it\n", votes, ledger.Voters(v))
}

// request is who asked to join: by the file that asks, which is handed in if need
// be, or by the name of who waits.
func request(ctx context.Context, client *clients.Client, name string) (ledger.Request, error) {
	if !strings.HasSuffix(name, ".join") {
		var found []ledger.Request
		for _, r := range ledger.Requests(client.View()) {
			if r.Member.Name == name {
				found = append(found, r)
			}
		}
		switch len(found) {
		case 0:
			return ledger.Request{}, fmt.Errorf("nobody asks to join as %.40q; give the file that the newcomer's member join wrote", name)
		case 1:
			return found[0], nil
		}
		return ledger.Request{}, fmt.Errorf("%d ask to join as %s, with different keys; give the file that came from the right one", len(found), name)
	}
	b, err := home.ReadSmall(name)
	if err != nil {
		return ledger.Request{}, err
	}
	t, err := ledger.ParseTx(b)
	join, ok := t.Body.(*ledger.Join)
	if err != nil || !ok {
		return ledger.Request{}, errors.Join(fmt.Errorf("%s is no request to join; get the file again that member join wrote", name), err)
	}
	r := ledger.Request{Join: join.Digest(), Member: join.Member}
	if slices.ContainsFunc(ledger.Requests(client.View()), func(x ledger.Request) bool { return x.Join == r.Join }) {
		return r, nil
	}
	result, err := client.Submit(ctx, b)
	switch {
	case err != nil:
		return r, err
	case result.Code == ledger.Expired:
		return r, fmt.Errorf("%s: its eight minutes are over; the newcomer asks again with commonseal member join", name)
	case result.Code != ledger.OK:
		return r, fmt.Errorf("%s: %w", name, &clients.RefusedError{Result: result})
	}
	return r, nil
}

func newMemberRevoke() *cobra.Command {
	var dir string
	c := &cobra.Command{
		Use:   "revoke --home DIR NAME",
		Short: "Vote to shut a member out",
		Long: `Votes to shut a member out, for ever: more than half of the companies' owners do. A
validator signs no blocks from the second block after; the last one cannot be shut
out.`,
		Example: `  commonseal member revoke --home ann val2`,
		Args:    oneName,
		RunE: func(c *cobra.Command, args []string) error {
			if err := required(c, "home"); err != nil {
				return err
			}
			return asMember(c.Context(), dir, func(ctx context.Context, _ *home.Home, client *clients.Client) error {
				if _, err := client.Record(ctx, &ledger.Revoke{Name: args[0]}); err != nil {
					return err
				}
				state := "not yet; more than half of the companies' owners shut it out"
				if m, ok := ledger.MemberOf(client.View(), args[0]); ok && m.Revoked {
					state = "yes"
				}
				_, err := fmt.Fprintf(c.OutOrStdout(), "revoked      %s: %s\n", args[0], state)
				return err
			})
		},
	}
	c.Flags().StringVar(&dir, "home", "", "home of a company")
	return c
}
