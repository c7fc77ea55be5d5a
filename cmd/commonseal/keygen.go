package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/commonseal/commonseal/cmd/commonseal/internal/home"
	"github.com/commonseal/commonseal/ledger"
)

// newKeygen makes a member's keys where they stay.
func newKeygen() *cobra.Command {
	var dir, name, owner, listen, p2p string
	var roles []string
	c := &cobra.Command{
		Use:   "keygen --home DIR --name NAME --owner OWNER --role ROLE",
		Short: "Make a member's keys and the file that tells its public ones",
		Long: `Makes a member's private keys in DIR/keys, where they stay, and DIR/NAME.member.yaml,
which is public: send it to whoever founds the consortium. Keys are made once and
never overwritten. Back DIR/keys up as you would a contract.

A company holds a share of the key and only dials out. An aggregator stores
ciphertexts and computes on them. A validator orders the ledger's blocks. A peer
submits training runs, and may be a company too.`,
		Example: `  commonseal keygen --home ann --name ann --owner "Ann Ltd" --role company
  commonseal keygen --home node --name carol --owner "Carol AG" --role aggregator --listen node.carol.example:7443
  commonseal keygen --home val --name val1 --owner "Ann Ltd" --role validator --listen val.ann.example:7444 --p2p val.ann.example:26656`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := required(c, "home", "name", "owner", "role"); err != nil {
				return err
			}
			r, err := home.ParseRoles(roles)
			if err != nil {
				return &usageError{fmt.Sprintf("--role: %v", err)}
			}
			m := home.MemberFile{Member: ledger.Member{Name: name, Owner: owner, Roles: r, Address: listen}, P2P: p2p}
			file, err := home.Keygen(dir, m)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), `keys    %s: private, they stay here; back them up
member  %s: public; send it to whoever founds the consortium
next    when genesis.json and network.yaml come back: commonseal join --home %s genesis.json network.yaml
`, home.KeysDir(dir), file, dir)
			return err
		},
	}
	f := c.Flags()
	f.SortFlags = false
	f.StringVar(&dir, "home", "", "folder of the member's process; made if need be")
	f.StringVar(&name, "name", "", "of the member: a-z, 0-9 and inner hyphens")
	f.StringVar(&owner, "owner", "", "the legal entity; owners, not names, are counted")
	f.StringSliceVar(&roles, "role", nil, "company, aggregator, validator or peer")
	f.StringVar(&listen, "listen", "", "HOST:PORT that others dial, of an aggregator or a validator")
	f.StringVar(&p2p, "p2p", "", "HOST:PORT that other validators dial, of a validator")
	return c
}

// required refuses a command line that leaves a flag out.
func required(c *cobra.Command, flags ...string) error {
	var missing []string
	for _, name := range flags {
		if f := c.Flags().Lookup(name); !f.Changed || f.Value.String() == "" {
			missing = append(missing, "--"+name)
		}
	}
	switch len(missing) {
	case 0:
		return nil
	case 1:
		return &usageError{fmt.Sprintf("%s is missing; run %s --help", missing[0], c.CommandPath())}
	}
	return &usageError{fmt.Sprintf("%s are missing; run %s --help", strings.Join(missing, ", "), c.CommandPath())}
}
